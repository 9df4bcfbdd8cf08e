"""The voice-activity gate: Silero's real model, and where it puts speech."""

import numpy as np
import pytest
import soundfile

from transcript_manager.decoder.voice import (
    CHUNK_SAMPLES,
    speech_spans,
    VoiceActivity,
    VoiceSettings,
)

RATE = 16000
OFFSET = 10


class Detector:
    """Stands in for Silero where only the bookkeeping is tested: the first sample over 1000."""

    def __init__(self):
        self.chunks = []
        self.resets = 0

    def __call__(self, chunk):
        samples = np.frombuffer(chunk, np.int16)
        assert len(samples) == CHUNK_SAMPLES
        self.chunks.append(int(samples[0]) - OFFSET)
        return (samples[0] - OFFSET) / 1000

    def reset(self):
        self.resets += 1


def ramp(first, count):
    """Samples that tell which chunk of the stream they are from, all of them audible."""
    return (np.arange(first, first + count) // CHUNK_SAMPLES + OFFSET).astype(np.int16)


def test_each_chunk_of_a_stream_is_judged_once():
    detector = Detector()
    voice = VoiceActivity(detector)
    for end in range(RATE, 30 * RATE + 1, RATE):
        first = max(0, end - 10 * RATE)
        found = voice.judge(ramp(first, end - first), first, 0)
        start = voice.chunk_start(0)
        assert -CHUNK_SAMPLES < start <= 0
        chunk = (first + start) // CHUNK_SAMPLES
        whole = end // CHUNK_SAMPLES
        expected = [k / 1000 for k in range(chunk, whole)]
        if end % CHUNK_SAMPLES:
            expected.append(expected[-1])  # what is left counts like what came before it
        assert found.tolist() == pytest.approx(expected)
    assert detector.chunks == list(range(30 * RATE // CHUNK_SAMPLES))
    assert detector.resets == 1


@pytest.mark.parametrize(
    ('first', 'start_ns', 'why'),
    [
        (40 * RATE, 0, 'audio is missing between the windows'),
        (0, 0, 'it begins before everything that is known'),
        (5 * RATE, 10**10, 'the stamps are those of another stream'),
    ],
)
def test_what_does_not_continue_is_judged_anew(first, start_ns, why):
    detector = Detector()
    voice = VoiceActivity(detector)
    voice.judge(ramp(2 * RATE, 10 * RATE), 2 * RATE, 0)
    assert detector.resets == 1
    found = voice.judge(ramp(first, 10 * RATE), first, start_ns)
    assert detector.resets == 2, why
    assert len(found) == -(-10 * RATE // CHUNK_SAMPLES)


def test_what_is_remembered_is_bounded():
    voice = VoiceActivity(Detector())
    for end in range(RATE, 200 * RATE, RATE):
        first = max(0, end - 10 * RATE)
        voice.judge(ramp(first, end - first), first, 0)
    assert len(voice._probabilities) <= 41 * RATE // CHUNK_SAMPLES


def test_a_window_shorter_than_a_chunk_and_an_empty_one():
    voice = VoiceActivity(Detector())
    assert voice.judge(np.zeros(100, np.int16), 0, 0).tolist() == []
    assert voice.judge(np.zeros(0, np.int16), 0, 0).tolist() == []


def test_a_muted_microphone_needs_no_model():
    detector = Detector()
    found = VoiceActivity(detector).judge(np.full(RATE, 3, np.int16), 0, 0)
    assert not found.any() and detector.chunks == []


PLAIN = VoiceSettings(threshold=0.5, min_speech_s=0.1, padding_s=0.0)


def spans_of(text, settings=PLAIN, **options):
    """Spans in chunks; '#' is speech, '-' is in between, '.' is silence."""
    probabilities = [{'#': 0.9, '-': 0.4, '.': 0.1}[c] for c in text]
    options.setdefault('sample_count', len(text) * CHUNK_SAMPLES)
    found = speech_spans(probabilities, settings, **options)
    return [(a / CHUNK_SAMPLES, b / CHUNK_SAMPLES) for a, b in found]


@pytest.mark.parametrize(
    ('chunks', 'spans'),
    [
        ('..........', []),
        ('....#####.....', [(4, 9)]),
        ('....##....', []),  # a click
        ('.....####', [(5, 9)]),  # goes on beyond the window
        ('####......', [(0, 4)]),
        ('...####..####....', [(3, 13)]),  # a dip
        ('...####.....####....', [(3, 7), (12, 16)]),
        ('...##--------##....', [(3, 15)]),  # not sure is not the end
        ('--------', []),  # nor a beginning
        ('', []),
    ],
)
def test_speech_is_found_in_probabilities(chunks, spans):
    assert spans_of(chunks) == spans


def test_padding_joins_and_stays_inside():
    settings = VoiceSettings(padding_s=5 * CHUNK_SAMPLES / RATE)
    assert spans_of('..####.............####.......', settings) == [(0, 11), (14, 28)]
    assert spans_of('..####........####..', settings) == [(0, 20)]
    assert spans_of('####', settings, sample_count=3 * CHUNK_SAMPLES, start=-CHUNK_SAMPLES) == [
        (0, 3)
    ]


def judged(samples):
    voice = VoiceActivity()
    samples = np.clip(samples * 32767, -32768, 32767).astype(np.int16)
    found = voice.judge(samples, 0, 0)
    spans = speech_spans(found, VoiceSettings(), sample_count=len(samples))
    return sum(end - begin for begin, end in spans) / RATE


def test_silero_hears_speech_and_little_else(recording, noises):
    path, reference = recording('demo')
    samples, _ = soundfile.read(path, dtype='float32')
    spoken_s = sum(end - start for _, start, end in reference['words'])
    assert judged(samples) > 0.95 * spoken_s
    for name, samples in noises(10.0).items():
        assert judged(samples) == 0, name


def test_speech_in_noise_is_still_speech(recording, noises):
    path, _ = recording('demo')
    samples, _ = soundfile.read(path, dtype='float32', frames=10 * RATE)
    fan = noises(10.0)['fan']
    assert judged(samples + fan) > 0.7 * judged(samples)
