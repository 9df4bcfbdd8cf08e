"""The main job: real audio through the real model over real topics, measured."""

import json
import statistics

import numpy as np
import pytest
import soundfile

from transcript_manager.decoder import models
from transcript_manager.decoder.engine import WhisperEngine
from transcript_manager.decoder.options import DecodeOptions

PIECE_SAMPLES = 160000
WORD_KEYS = {'text', 'start', 'end', 'probability', 'occurrences'}


def decode_in_pieces(path):
    """Decode a file once, in consecutive 10 s pieces; returns the text."""
    samples, _ = soundfile.read(path, dtype='int16')
    texts = []
    with WhisperEngine(models.resolve('demo')) as engine:
        for start in range(0, len(samples), PIECE_SAMPLES):
            piece = np.ascontiguousarray(samples[start : start + PIECE_SAMPLES])
            segments = engine.transcribe(piece, DecodeOptions()).segments
            texts.append(''.join(t.text for s in segments for t in s.tokens))
    return ' '.join(texts)


@pytest.mark.parametrize('name', ['demo', 'second'])
def test_streaming_is_no_worse_than_decoding_once(name, transcript, recording, word_error_rate):
    path, reference = recording(name)
    done = transcript('run', '--audio', path, '--model', 'demo', '--format', 'json', '--fast')
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    streamed = word_error_rate(reference['text'], result['text'])
    in_pieces = word_error_rate(reference['text'], decode_in_pieces(path))
    print(f'{name}: WER streamed {streamed:.2%}, in 10 s pieces {in_pieces:.2%}')
    assert streamed <= in_pieces
    assert in_pieces < 0.03  # the decoder itself is sound
    check_shape(result)
    check_times(result, reference)


def check_shape(result):
    assert set(result) == {'text', 'language', 'segments'}
    assert result['language'] == 'en'
    assert ''.join(s['text'] for s in result['segments']) == result['text']
    for segment in result['segments']:
        assert set(segment) == {'start', 'end', 'text', 'words'}
        assert ''.join(w['text'] for w in segment['words']) == segment['text']
        for word in segment['words']:
            assert set(word) - {'conflicts'} == WORD_KEYS
            assert 0 < word['probability'] <= 1 and word['occurrences'] >= 1
    words = [w for s in result['segments'] for w in s['words']]
    times = [t for w in words for t in (w['start'], w['end'])]
    assert times == sorted(times)


def check_times(result, reference):
    """Word ends must be where they were spoken: on the stream's clock, not some other."""
    words = [w for s in result['segments'] for w in s['words']]
    ends = {(w.strip().lower(), round(end_s)): end_s for w, _, end_s in reference['words']}
    errors = [
        abs(ends[key] - w['end'])
        for w in words
        if (key := (w['text'].strip().lower(), round(w['end']))) in ends
    ]
    assert len(errors) > len(words) / 2
    assert statistics.median(errors) < 0.05


def test_real_time_pace_gives_the_same_text_as_fast(transcript, recording, word_error_rate):
    path, reference = recording('second')
    done = transcript('run', '--audio', path, '--model', 'demo', '--realtime')
    assert done.returncode == 0, done.stderr
    assert word_error_rate(reference['text'], done.stdout) < 0.05
    # Progress went to standard error while it ran, the result alone to standard output.
    assert 'windows decoded' in done.stderr and 'windows decoded' not in done.stdout


def test_the_result_can_go_to_a_file_with_times(transcript, recording, tmp_path):
    path, _ = recording('second')
    target = tmp_path / 'out.txt'
    done = transcript(
        *('run', '--audio', path, '--model', 'demo', '--fast', '--timestamps', '-o', target)
    )
    assert (done.returncode, done.stdout) == (0, ''), done.stderr
    lines = target.read_text().splitlines()
    assert lines[0].startswith('[00:00.') and lines[0].endswith('robot is low again.')
    assert len(lines) >= 8 and all(line.startswith('[00:') for line in lines)
    assert [p.name for p in tmp_path.iterdir()] == ['out.txt']


def test_two_at_once_on_the_same_topics_are_refused(
    transcript, start, installed_command, recording
):
    path, _ = recording('demo')
    first = start([installed_command, 'run', '--audio', path, '--model', 'demo'])
    first.wait_for('00:0')
    done = transcript('run', '--audio', path, '--model', 'demo', timeout_s=30)
    assert done.returncode == 2
    assert 'another transcriber uses the same topics' in done.stderr
    assert first.process.poll() is None  # the first one goes on


def test_ctrl_c_keeps_what_was_heard(start, installed_command, recording):
    path, _ = recording('demo')
    program = start([installed_command, 'run', '--audio', path, '--model', 'demo'])
    program.wait_for('00:09')
    assert program.stop(timeout_s=20) == 130
    assert "In consequence, I'm inclined to reserve all judgments" in program.output
    assert 'Traceback' not in program.output
