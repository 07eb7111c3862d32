"""A signal is heard whatever the main thread is doing."""

import signal
import subprocess
import sys
from signal import Signals

import pytest

#: The handler runs in another thread: the main one, which waits for ever, is not woken. So it is, too, when the signal
#: comes just before it begins to wait.
WAITER = """
import os, signal, sys, threading, time
from zkbridge.runtime.signals import when_signalled

number = signal.Signals(int(sys.argv[1]))
when_signalled({number: lambda: os._exit(7)})
idle = threading.Thread(target=threading.Event().wait, daemon=True)
idle.start()

def tell():
    time.sleep(0.5)
    signal.pthread_kill(idle.ident, number)

threading.Thread(target=tell, daemon=True).start()
threading.Lock().acquire()
threading.Event().wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_that_does_not_wake_the_main_thread_is_handled(number: Signals) -> None:
    ended = subprocess.run([sys.executable, "-c", WAITER, str(int(number))], check=False, timeout=60)

    assert ended.returncode == 7


def test_several_signals_are_each_handled() -> None:
    heard = """
import os, signal, threading
from zkbridge.runtime.signals import when_signalled

told = []
done = threading.Event()
when_signalled({signal.SIGHUP: lambda: told.append("again"), signal.SIGTERM: done.set})
for number in (signal.SIGHUP, signal.SIGHUP, signal.SIGTERM):
    before = len(told)
    os.kill(os.getpid(), number)
    while number == signal.SIGHUP and len(told) == before:
        pass
done.wait()
print(*told)
"""
    said = subprocess.run([sys.executable, "-c", heard], check=True, timeout=60, capture_output=True, text=True)

    assert said.stdout.split() == ["again", "again"]
