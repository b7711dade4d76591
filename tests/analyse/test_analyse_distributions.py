import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.distributions import beta_cdf, beta_quantile, binomial_cdf, t_quantile


@pytest.mark.parametrize(
    ("p", "df", "tabled"),
    [
        (0.95, 1, 6.314),
        (0.95, 2, 2.920),
        (0.95, 4, 2.132),
        (0.95, 19, 1.729),
        (0.95, 1000, 1.646),
        (0.975, 1, 12.706),
        (0.975, 10, 2.228),
        (0.975, 30, 2.042),
        (0.99, 5, 3.365),
        (0.5, 7, 0.0),
        (0.05, 4, -2.132),
    ],
)
def test_t_quantiles_are_those_of_the_tables(p, df, tabled):
    assert t_quantile(p, df) == pytest.approx(tabled, abs=5e-4)


@given(st.integers(1, 60), st.integers(0, 60), st.fractions(Fraction(1, 100), Fraction(99, 100)))
def test_the_binomial_is_the_sum_of_its_terms(n, k, q):
    exact = sum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(min(k, n) + 1))
    assert binomial_cdf(k, n, float(q)) == pytest.approx(float(exact), abs=1e-10)


@given(st.floats(0.001, 0.999), st.floats(0.5, 1e5), st.floats(0.5, 1e5))
def test_the_beta_quantile_undoes_its_distribution(p, a, b):
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-6)


def test_a_beta_without_mass_on_one_side_stands_at_its_end():
    assert (beta_quantile(0.95, 0, 5), beta_quantile(0.05, 5, 0)) == (0.0, 1.0)
