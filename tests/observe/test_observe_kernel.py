"""What the kernel says of real processes."""

import os
import signal
import subprocess
import sys
import textwrap

import psutil
import pytest

from mmload.observe.kernel import kernel_word

pytestmark = pytest.mark.live

# Stops the process with the given pid by ptrace, as an orphan: nobody's child that looks.
TRACER = textwrap.dedent(
    """
    import ctypes, os, sys, time
    if os.fork():
        sys.exit()
    while os.getppid() == int(sys.argv[2]):
        time.sleep(0.01)
    PTRACE_ATTACH = 16
    print(ctypes.CDLL(None).ptrace(PTRACE_ATTACH, int(sys.argv[1]), None, None), os.getpid(), flush=True)
    sys.stdin.read()
    """
)


def test_a_process_that_waits_one_that_is_stopped_and_one_that_is_gone(idle, found, until):
    (process,) = found(rank=idle)
    until(lambda: kernel_word(process).state == "S")
    ran_ns = kernel_word(process).ran_ns
    assert kernel_word(process).ran_ns == ran_ns
    idle.send_signal(signal.SIGSTOP)
    until(lambda: kernel_word(process).state == "T")
    idle.kill()
    until(lambda: kernel_word(process) is None)


def test_the_kernel_counts_how_long_a_main_thread_ran(busy, found, until):
    (process,) = found(rank=busy)
    before_ns = kernel_word(process).ran_ns
    if before_ns is None:
        pytest.skip("this kernel does not count it")
    assert until(lambda: kernel_word(process).ran_ns > before_ns)


def test_a_py_spy_of_ours_does_not_stop_a_process_and_another_tracer_does(busy, found, until):
    (process,) = found(rank=busy)
    attach = "import ctypes, sys; ctypes.CDLL(None).ptrace(16, int(sys.argv[1]), 0, 0); input()"
    ours = subprocess.Popen([sys.executable, "-c", attach, str(busy.pid)], stdin=subprocess.PIPE)
    until(lambda: psutil.Process(busy.pid).status() == psutil.STATUS_TRACING_STOP)
    assert kernel_word(process).state == "S"
    ours.communicate(b"\n")
    busy.send_signal(signal.SIGCONT)
    pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    starter = subprocess.Popen([sys.executable, "-c", TRACER, str(busy.pid), str(os.getpid())], **pipe)
    refused, _ = starter.stdout.readline().split()
    assert int(refused) == 0
    until(lambda: kernel_word(process).state == "t")
    starter.communicate()
