"""Lines of a plot are told apart by everybody: in both themes, and by those who see fewer colours."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest

from mmload.show.page_data import asset

Vector = npt.NDArray[np.float64]
LEAST = 15  # CIE 1976; about 2 is the least that is seen side by side
# Machado, Oliveira and Fernandes 2009, severity 1.
SIGHTS = {
    "all colours": np.eye(3),
    "no red": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
    ),
    "no blue": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]]
    ),
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
WHITE = XYZ.sum(axis=1)
GROUNDS = {"light": "#ffffff", "dark": "#15171b"}


def colours(theme: str) -> list[str]:
    """Of the series, and the baseline's."""
    light, dark = re.findall(r":root[^{]*\{([^}]*--s0[^}]*)\}", asset("chart.css"))
    return re.findall(r"--(?:s\d|base): (#\w{6})", light if theme == "light" else dark)


def linear(colour: str) -> Vector:
    parts = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(light: Vector) -> Vector:
    x, y, z = np.cbrt(XYZ @ np.clip(light, 0, 1) / WHITE)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("theme", GROUNDS)
@pytest.mark.parametrize("sight", SIGHTS)
def test_no_two_lines_look_alike(theme: str, sight: str) -> None:
    seen = {colour: lab(SIGHTS[sight] @ linear(colour)) for colour in colours(theme)}
    assert len(seen) == 9
    alike = [pair for pair in combinations(seen, 2) if np.linalg.norm(seen[pair[0]] - seen[pair[1]]) < LEAST]
    assert not alike


@pytest.mark.parametrize("theme", GROUNDS)
def test_every_line_stands_out_from_the_ground(theme: str) -> None:
    def luminance(colour: str) -> float:
        return float(XYZ[1] @ linear(colour))

    for colour in colours(theme):
        low, high = sorted((luminance(colour), luminance(GROUNDS[theme])))
        assert (high + 0.05) / (low + 0.05) >= 3
