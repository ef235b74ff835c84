"""inferd.server.signals: signals as something to wait for."""

import os
import selectors
import signal

from inferd.server.signals import Signals


def test_signals_can_be_waited_for() -> None:
    """One that comes wakes a selector, and is told once; afterwards all is as it was."""
    before = signal.getsignal(signal.SIGUSR1)
    signals = Signals([signal.SIGUSR1, signal.SIGUSR2])
    with selectors.DefaultSelector() as selector:
        selector.register(signals, selectors.EVENT_READ)
        assert selector.select(0) == []
        os.kill(os.getpid(), signal.SIGUSR1)
        assert selector.select(5)
        assert signals.take() == [signal.SIGUSR1]
        assert signals.take() == []
    signals.close()
    assert signal.getsignal(signal.SIGUSR1) == before
    assert signal.set_wakeup_fd(-1) == -1
