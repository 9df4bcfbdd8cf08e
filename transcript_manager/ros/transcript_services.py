"""The services of the transcript manager node."""

from __future__ import annotations

import contextlib
from itertools import chain
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from std_srvs.srv import Trigger

from transcript_manager.errors import ParameterError, TranscriptManagerError
from transcript_manager.export.formats import render
from transcript_manager.session.records import Record, to_result
from transcript_manager.srv import GetTranscript
from transcript_manager.streams.messages import NS_PER_S, to_ns

if TYPE_CHECKING:
    from transcript_manager.ros.transcript_node import TranscriptNode

_FORMATS = ('text', 'json', 'srt', 'vtt', 'lrc', 'tsv')
_MAX_BYTES = 1 << 20
_MAX_SEGMENTS = 5000
"""In an answer: it takes less than a second to read them from the journal."""
_SPARE = 0.95  # of the bytes: what stands between the segments
_NOT_CONFIGURED = 'the node is not configured'
_MAX_NAME_BYTES = 200


class TranscriptServices:
    """``~/get_transcript``, ``~/reset``, ``~/flush``, ``~/pause`` and ``~/resume`` of a node."""

    def __init__(self, node: TranscriptNode) -> None:
        self._node = node
        node.create_service(GetTranscript, '~/get_transcript', self._on_get)
        for name, act in (
            ('reset', self._reset),
            ('flush', self._flush),
            ('pause', self._pause),
            ('resume', self._resume),
        ):
            node.create_service(Trigger, f'~/{name}', self._answering(act))

    def _answering(self, act):
        def on_request(_request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            response.success = self._node.session is not None
            response.message = act() if response.success else _NOT_CONFIGURED
            return response

        return on_request

    def _reset(self) -> str:
        node = self._node
        node.publish(node.session.reset(node.stream_now_ns()))
        node.interrupt_goals()
        return 'a new session begins'

    def _flush(self) -> str:
        change = self._node.session.settle()
        self._node.publish(change)
        return f'{len(change.frozen)} segments frozen'

    def _pause(self) -> str:
        node = self._node
        if node.session.is_paused:
            return 'paused already'
        node.publish(node.session.pause())
        node.interrupt_goals()
        return 'paused: nothing is transcribed until resume'

    def _resume(self) -> str:
        node = self._node
        if not node.session.is_paused:
            return 'not paused'
        node.session.resume(node.stream_now_ns())
        return 'resumed: what is said from now on is transcribed'

    # -- get_transcript ------------------------------------------------------------------------

    def _on_get(
        self, request: GetTranscript.Request, response: GetTranscript.Response
    ) -> GetTranscript.Response:
        try:
            self._answer(request, response)
        except TranscriptManagerError as error:
            response.success = False
            response.message = str(error)
            response.transcript = response.path = ''
        return response

    def _answer(self, request: GetTranscript.Request, response: GetTranscript.Response) -> None:
        session = self._node.session
        if session is None:
            raise TranscriptManagerError(_NOT_CONFIGURED)
        kind = request.format or 'text'
        if kind not in _FORMATS:
            raise ParameterError(f'format is {kind!r}, must be one of: {", ".join(_FORMATS)}')
        target = self._target(request.save_as) if request.save_as else None
        start_s = to_ns(request.start) / NS_PER_S
        end_s = to_ns(request.end) / NS_PER_S or float('inf')
        first_index = request.first_index
        segments = session.history.segments(first_index, start_s, end_s)
        if request.include_active:
            active = (r for r in session.active_records() if r['index'] >= first_index)
            segments = chain(segments, active)
        chosen: list[Record] = []
        size = 0
        for record in segments:
            part = _between(record, start_s, end_s)
            if part is None:
                continue
            size += _size(part, kind, session.start_ns / NS_PER_S)
            is_full = size > _SPARE * _MAX_BYTES or len(chosen) == _MAX_SEGMENTS
            if is_full and chosen:
                response.next_index = part['index']
                break
            chosen.append(part)
        else:
            response.is_complete = True
        whole = to_result(chosen, start_s=session.start_ns / NS_PER_S, language=session.language)
        response.transcript = render(whole, kind)
        response.success = True
        response.message = f'{len(chosen)} segments'
        if target is not None:
            response.path = str(_write(target, response.transcript))

    def _target(self, name: str) -> Path:
        """
        Return where a file of this name goes.

        :raises TranscriptManagerError: if it would be anywhere but below journal_dir
        """
        folder = self._node.values['journal_dir']
        if not folder:
            raise ParameterError('save_as needs the parameter journal_dir: files go below it')
        is_plain = (
            name.isprintable()
            and name == os.path.basename(name)
            and not name.startswith('.')
            and len(os.fsencode(name)) <= _MAX_NAME_BYTES
        )
        if not is_plain:
            raise ParameterError(
                f'save_as is {name[:200]!r}, must be the name of a file, such as talk.srt, '
                'without a folder'
            )
        return Path(folder).expanduser() / 'saved' / name


def _size(record: Record, kind: str, start_s: float) -> int:
    """Return how many bytes a segment takes in an answer, at most."""
    if kind == 'text':
        return len(record['text'].encode()) + 1
    if kind == 'json':
        return len(render(to_result([record], start_s=start_s), kind).encode())
    # Cues go across segments; a record names more of each word than any of these formats.
    return len(json.dumps(record).encode())


def _between(record: Record, start_s: float, end_s: float) -> Record | None:
    """Return the words of a segment in a stretch of time, as a segment; None for none."""
    if record['start'] >= start_s and record['end'] <= end_s:
        return record
    words = [w for w in record['words'] if w['end'] > start_s and w['start'] < end_s]
    if not words:
        return None
    return record | {
        'words': words,
        'start': words[0]['start'],
        'end': words[-1]['end'],
        'text': ''.join(w['text'] for w in words),
    }


def _write(target: Path, text: str) -> Path:
    """Write a file whole or not at all, following no link out of its folder."""
    part = target.with_name(f'.{target.name}.part')
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.parent.is_symlink():
            raise TranscriptManagerError(f'{target.parent} is a link; nothing is written there')
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
        with open(descriptor, 'w', encoding='utf-8') as file:
            file.write(text)
        part.replace(target)  # a link of this name is replaced, not followed
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise TranscriptManagerError(f'cannot write {target}: {error.strerror}') from error
    return target
