"""A microphone that may come and go."""

from __future__ import annotations

from collections.abc import Callable
import logging
import threading
import time

import numpy as np

from transcript_manager.audio import microphone
from transcript_manager.audio.devices import look_again, PORTAUDIO
from transcript_manager.audio.microphone import leave_portaudio, Microphone
from transcript_manager.errors import AudioSourceError

_LOGGER = logging.getLogger(__name__)
_FIRST_RETRY_S = 0.5
_LAST_RETRY_S = 10.0
_CLOSE_TIMEOUT_S = 3.0


class RecoveringMicrophone:
    """
    A microphone that is opened again when it fails: unplugged, stalled, taken away.

    Meanwhile it gives no samples. That it works is seen first: what fails at the start raises.

    :param open_microphone: opens it
    :param prepare: called before it is opened again; makes PortAudio look for devices
    :raises AudioSourceError: if it does not open the first time
    """

    def __init__(
        self,
        open_microphone: Callable[[], Microphone],
        *,
        prepare: Callable[[], None] = look_again,
    ) -> None:
        self._is_closed = False
        self._lock = threading.Lock()
        self._open_microphone = open_microphone
        self._prepare = prepare
        self._microphone: Microphone | None = self._look_and_open()
        self.name = self._microphone.name
        self.reopenings = 0
        """How often it was opened again."""
        self.complaint = ''
        """Why it gives nothing now; '' while it works."""
        self._overflows_before = self._dropped_before = 0
        self._retry_s = _FIRST_RETRY_S
        self._next_try_s = 0.0
        # A device that hangs makes PortAudio hang: it is opened in a thread that may be left.
        self._opener: threading.Thread | None = None
        self._opened: Microphone | None = None

    @property
    def overflows(self) -> int:
        """How often PortAudio lost samples."""
        present = self._microphone
        return self._overflows_before + (present.overflows if present is not None else 0)

    @property
    def dropped_samples(self) -> int:
        """How many samples were dropped because nobody read them."""
        present = self._microphone
        return self._dropped_before + (present.dropped_samples if present is not None else 0)

    def read_timed(self, timeout_s: float) -> tuple[np.ndarray | None, int]:
        """Return what :meth:`Microphone.read_timed` does; nothing while there is none."""
        if self._is_closed:
            return None, 0
        if self._microphone is not None:
            try:
                samples, captured_ns = self._microphone.read_timed(timeout_s)
            except AudioSourceError as error:
                self._lose(error)
                return np.zeros(0, np.int16), 0
            if samples is None or len(samples):
                self._retry_s = _FIRST_RETRY_S
                self.complaint = ''
            return samples, captured_ns
        self._try_again()
        if self._opener is not None:
            self._opener.join(timeout_s)
        else:
            time.sleep(min(timeout_s, max(0.0, self._next_try_s - time.monotonic())))
        return np.zeros(0, np.int16), 0

    def _lose(self, error: AudioSourceError) -> None:
        _LOGGER.warning('%s; it is opened again as soon as it is there', error)
        self.complaint = str(error)
        lost = self._microphone
        # In this order: a report in between may count them twice, but not see them fall.
        self._overflows_before += lost.overflows
        self._dropped_before += lost.dropped_samples
        self._microphone = None
        self._next_try_s = time.monotonic() + self._retry_s
        # Closing one that hangs takes seconds, in which time would stand still.
        self._opener = threading.Thread(target=lost.close, name='close device', daemon=True)
        self._opener.start()

    def _try_again(self) -> None:
        if self._opener is not None:
            if self._opener.is_alive():
                return
            self._opener = None
        with self._lock:
            self._microphone, self._opened = self._opened, None
        if self._microphone is not None:
            self.name = self._microphone.name
            self.reopenings += 1
            _LOGGER.warning('%s is back', self._microphone.name)
            return
        if time.monotonic() < self._next_try_s:
            return
        self._next_try_s = time.monotonic() + self._retry_s
        self._retry_s = min(2 * self._retry_s, _LAST_RETRY_S)
        self._opener = threading.Thread(target=self._reopen, name='open device', daemon=True)
        self._opener.start()

    def _reopen(self) -> None:
        try:
            opened = self._look_and_open()
        except AudioSourceError as error:
            self.complaint = str(error)
            return
        except Exception as error:  # PortAudioError, which cannot be imported here
            self.complaint = f'PortAudio does not start again: {error}'
            return
        if opened is None:
            return
        with self._lock:
            if not self._is_closed:
                self._opened = opened
                return
        opened.close()

    def _look_and_open(self) -> Microphone | None:
        """Look for devices and open ours; None if it was closed meanwhile."""
        with PORTAUDIO:
            if self._is_closed:
                return None
            # With a stream that is open or hangs, PortAudio cannot be ended; what it knows has
            # to do.
            if not microphone.OPEN:
                self._prepare()
            return self._open_microphone()

    def close(self) -> None:
        """Stop recording; may be called twice."""
        with self._lock:
            self._is_closed = True
            opened, self._opened = self._opened, None
        for each in (self._microphone, opened):
            if each is not None:
                each.close()
        opener = self._opener
        if opener is not None:
            opener.join(_CLOSE_TIMEOUT_S)
            if opener.is_alive():
                leave_portaudio()
