"""The audio of a bag is one stream: every sample once, in order, where it was captured."""

import json
from pathlib import Path
import sqlite3
import tracemalloc

from bag_tools import (
    audio_chunks,
    audio_message,
    AUDIO_WINDOW,
    bad_bags,
    header,
    NS_PER_S,
    read_all,
    START_NS,
    typestore,
    write_bag,
)
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin
import soundfile

from transcript_manager.audio.ring import AudioRing
from transcript_manager.errors import AudioSourceError, StreamError
from transcript_manager.streams.audio_bag import BagSource
from transcript_manager.streams.bag import has_bag, read_bag

ROOT = Path(__file__).resolve().parents[2]
BAGS = ROOT / 'test' / 'bags'
RATE_HZ = 16000
INT16_ARRAY = 'std_msgs/msg/Int16MultiArray'


@pytest.fixture
def store():
    return typestore()


@pytest.fixture
def samples():
    """Noise: no two stretches of it are alike."""
    return np.random.default_rng(5).integers(-9000, 9000, 6 * RATE_HZ + 700).astype(np.int16)


def content(path, **options):
    with BagSource(path, **options) as source:
        return read_all(source), source


def windows(store, samples, *, window_s=3.0, start_ns=START_NS, topic='/audio_window'):
    """Return what the ring publishes, as it was recorded."""
    ring = AudioRing(sample_rate_hz=RATE_HZ, window_s=window_s, hop_s=1.0)
    messages = []
    for w in [*ring.push(samples), ring.finish()]:
        message = audio_message(
            store,
            samples,
            w.first_sample,
            len(w.samples),
            start_ns=start_ns,
            end_of_stream=w.end_of_stream,
        )
        at_ns = start_ns + w.end_sample * NS_PER_S // RATE_HZ
        messages.append((topic, AUDIO_WINDOW, at_ns, message))
    return messages


def arrays(store, samples, *, at_ns=START_NS, rate_hz=RATE_HZ, topic='/array'):
    """Return chunks of a type without stamp and rate, 100 ms each, recorded as they end."""
    kinds, step = store.types, rate_hz // 10
    layout = kinds['std_msgs/msg/MultiArrayLayout'](dim=[], data_offset=0)
    return [
        (
            topic,
            INT16_ARRAY,
            at_ns + (first + step) * NS_PER_S // rate_hz,
            kinds[INT16_ARRAY](layout=layout, data=samples[first : first + step]),
        )
        for first in range(0, len(samples), step)
    ]


# -- the bags that come with the tests ---------------------------------------------------------


@pytest.mark.parametrize(('name', 'sentences'), [('spoken_mcap', 2), ('spoken_sqlite3', 1)])
def test_the_small_bags_hold_what_their_script_says(name, sentences, recording):
    path, reference = recording('second')
    said = reference['sentences'][:sentences]
    samples, _ = soundfile.read(path, dtype='int16')
    samples = samples[: int((said[-1][2] + 0.3) * RATE_HZ)]
    heard, source = content(BAGS / name)
    np.testing.assert_array_equal(heard, samples)
    assert (source.gaps, source.repeated) == (0, 0)
    assert source.start_time_s == START_NS / NS_PER_S
    assert source.duration_s == pytest.approx(len(samples) / RATE_HZ, abs=0.2)
    tokens = list(read_bag(BAGS / name))
    assert tokens[-1].end_of_stream and len(tokens) == len(samples) // RATE_HZ + 1
    last = ''.join(t.text for s in tokens[-1].segments for t in s.tokens)
    assert last.strip() == ' '.join(text for text, _, _ in said)
    size_bytes = sum(f.stat().st_size for f in (BAGS / name).iterdir())
    assert size_bytes < 200_000


# -- one timeline ------------------------------------------------------------------------------


@pytest.mark.parametrize('storage', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('single_file', [False, True])
def test_chunks_come_back_sample_by_sample(tmp_path, store, samples, storage, single_file):
    bag = write_bag(tmp_path / 'b', audio_chunks(store, samples), store=store, storage=storage)
    if single_file:
        (bag,) = [p for p in bag.iterdir() if p.suffix in ('.mcap', '.db3')]
    assert has_bag(bag)
    heard, source = content(bag)
    np.testing.assert_array_equal(heard, samples)
    assert source.start_time_s == START_NS / NS_PER_S
    assert source.name.endswith('(/audio)')


def test_overlapping_windows_give_each_sample_once(tmp_path, store, samples):
    heard, source = content(write_bag(tmp_path / 'b', windows(store, samples), store=store))
    np.testing.assert_array_equal(heard, samples)
    assert source.gaps == 0


def test_a_recording_begun_late_starts_at_its_first_sample(tmp_path, store, samples):
    messages = windows(store, samples)[4:]  # the first of them begins at second 2
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    np.testing.assert_array_equal(heard, samples[2 * RATE_HZ :])
    assert source.start_time_s == START_NS / NS_PER_S + 2


def test_order_and_repetition_make_no_difference(tmp_path, store, samples):
    messages = audio_chunks(store, samples)
    rng = np.random.default_rng(0)
    for n in range(0, len(messages) - 5, 5):  # the very first ones, too
        messages[n : n + 5] = [messages[n + i] for i in rng.permutation(5)]
    messages = [m for n, m in enumerate(messages) for _ in range(2 if n % 3 == 0 else 1)]
    # As they arrived: recorded one after the other, whenever they were captured.
    messages = [(t, k, START_NS + n * 10**8, m) for n, (t, k, _, m) in enumerate(messages)]
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    np.testing.assert_array_equal(heard, samples)
    assert source.gaps == 0 and source.repeated == pytest.approx(len(messages) / 4, abs=2)


def test_what_was_lost_is_silence_of_the_same_length(tmp_path, store, samples):
    messages = audio_chunks(store, samples)
    del messages[20:27]
    del messages[3]
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    expected = samples.copy()
    expected[3 * 1600 : 4 * 1600] = 0
    expected[20 * 1600 : 27 * 1600] = 0
    np.testing.assert_array_equal(heard, expected)
    assert (source.gaps, source.silent_samples) == (2, 8 * 1600)


def test_a_restarted_ring_goes_on_where_its_stamps_say(tmp_path, store, samples):
    first, second = samples[: 2 * RATE_HZ], samples[2 * RATE_HZ : 5 * RATE_HZ]
    messages = audio_chunks(store, first) + audio_chunks(
        store, second, start_ns=START_NS + 7 * NS_PER_S // 2
    )
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    silence = np.zeros(RATE_HZ * 3 // 2, np.int16)
    np.testing.assert_array_equal(heard, np.concatenate([first, silence, second]))
    assert (source.gaps, source.silent_samples) == (1, len(silence))


def test_a_restart_whose_clock_went_back_loses_nothing_behind_an_end(tmp_path, store, samples):
    first, second = samples[: 2 * RATE_HZ], samples[2 * RATE_HZ : 5 * RATE_HZ]
    messages = audio_chunks(store, first, start_ns=START_NS) + audio_chunks(
        store, second, start_ns=START_NS - 3600 * NS_PER_S
    )
    messages = [(t, k, START_NS + n * 10**8, m) for n, (t, k, _, m) in enumerate(messages)]
    heard, _ = content(write_bag(tmp_path / 'b', messages, store=store))
    np.testing.assert_array_equal(heard, np.concatenate([first, second]))


def test_parts_at_other_rates_are_resampled_each_by_itself(tmp_path, store):
    def tone(rate_hz):
        return (9000 * np.sin(2 * np.pi * 440 * np.arange(2 * rate_hz) / rate_hz)).astype(np.int16)

    messages = []
    for n, rate_hz in enumerate((48000, 16000, 8000)):
        at_ns = START_NS + 2 * n * NS_PER_S
        messages += audio_chunks(store, tone(rate_hz), rate_hz=rate_hz, start_ns=at_ns)
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    assert len(heard) == 6 * RATE_HZ and source.gaps == 0
    for second in range(6):
        part = heard[second * RATE_HZ + 4000 : (second + 1) * RATE_HZ - 4000]
        spectrum = np.abs(np.fft.rfft(part))
        assert np.argmax(spectrum) * RATE_HZ / len(part) == pytest.approx(440, abs=2)
        assert np.abs(part).max() == pytest.approx(9000, rel=0.02)


def test_a_stamp_that_cannot_be_makes_no_endless_silence(tmp_path, store, samples):
    messages = audio_chunks(store, samples[: 3 * RATE_HZ])
    wild = audio_message(store, samples, 0, 1600, start_ns=2**31 * NS_PER_S - NS_PER_S)
    wild.first_sample = 2**63
    messages.insert(10, ('/audio', AUDIO_WINDOW, START_NS + NS_PER_S, wild))
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    assert len(heard) == 3 * RATE_HZ + 1600 and source.gaps >= 1


def test_arrays_without_stamps_are_joined_and_long_pauses_kept(tmp_path, store, samples):
    first, second = samples[: 2 * RATE_HZ], samples[2 * RATE_HZ : 4 * RATE_HZ]
    rng = np.random.default_rng(1)
    messages = arrays(store, first) + arrays(store, second, at_ns=START_NS + 5 * NS_PER_S)
    late_ns = rng.integers(0, 3 * 10**8, len(messages))  # and those behind it with it
    at_ns = np.maximum.accumulate([m[2] + late for m, late in zip(messages, late_ns, strict=True)])
    messages = [(t, k, int(at), m) for (t, k, _, m), at in zip(messages, at_ns, strict=True)]
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    np.testing.assert_array_equal(heard[: len(first)], first)
    np.testing.assert_array_equal(heard[-len(second) :], second)
    assert source.gaps == 1
    assert source.silent_samples == pytest.approx(3 * RATE_HZ, abs=0.3 * RATE_HZ)
    assert source.start_time_s == pytest.approx(START_NS / NS_PER_S, abs=0.3)


# -- other types -------------------------------------------------------------------------------

STAMPED = {
    'audio_common_msgs__AudioData': 'uint8[] data',
    'audio_common_msgs__AudioDataStamped': 'std_msgs/Header header\nAudioData audio',
}
STAMPED_TYPE = 'audio_common_msgs/msg/AudioDataStamped'


def stamped(store, samples, *, jitter_ns=0):
    kinds = store.types
    rng = np.random.default_rng(2)
    messages = []
    for first in range(0, len(samples), 800):
        at_ns = START_NS + first * NS_PER_S // RATE_HZ + int(rng.integers(0, jitter_ns + 1))
        data = samples[first : first + 800].view(np.uint8)
        audio = kinds['audio_common_msgs/msg/AudioData'](data=data)
        message = kinds[STAMPED_TYPE](header=header(store, at_ns), audio=audio)
        messages.append(('/audio/stamped', STAMPED_TYPE, at_ns + 10**8, message))
    return messages


def test_stamped_data_of_another_package_with_jitter_loss_and_repetition(tmp_path, samples):
    store = typestore(**STAMPED)
    messages = stamped(store, samples, jitter_ns=4 * 10**7)
    del messages[40:52]  # 0.6 s
    messages.insert(30, messages[29])
    messages[60], messages[61] = messages[61], messages[60]
    heard, source = content(write_bag(tmp_path / 'b', messages, store=store))
    assert (source.gaps, source.repeated) == (1, 1)
    np.testing.assert_array_equal(heard[: 40 * 800], samples[: 40 * 800])
    rest = samples[52 * 800 :]
    np.testing.assert_array_equal(heard[-len(rest) :], rest)
    assert len(heard) == pytest.approx(len(samples), abs=0.1 * RATE_HZ)


@pytest.mark.parametrize('installed', [False, True])
def test_a_bag_without_definitions_needs_the_package(tmp_path, samples, monkeypatch, installed):
    store = typestore(**STAMPED)
    bag = write_bag(
        tmp_path / 'b', stamped(store, samples), store=store, storage=StoragePlugin.SQLITE3
    )
    (file,) = bag.glob('*.db3')
    with sqlite3.connect(file) as database:  # as rosbag2 wrote them before Iron
        database.execute('DELETE FROM message_definitions')
    with Reader(bag) as reader:
        assert not reader.connections[0].msgdef.data
    if not installed:
        with pytest.raises(AudioSourceError, match='AudioDataStamped is not installed here'):
            BagSource(bag)
        return
    folder = tmp_path / 'prefix' / 'share' / 'audio_common_msgs' / 'msg'
    folder.mkdir(parents=True)
    for name, text in STAMPED.items():
        (folder / f'{name.partition("__")[2]}.msg').write_text(text)
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path / 'prefix'))
    np.testing.assert_array_equal(content(bag)[0], samples)


def test_a_channel_is_chosen_or_their_mean_taken(tmp_path, store, samples):
    pairs = np.stack([samples, np.zeros_like(samples)], axis=1).reshape(-1)
    messages = arrays(store, pairs, rate_hz=2 * RATE_HZ)
    bag = write_bag(tmp_path / 'b', messages, store=store)
    np.testing.assert_array_equal(content(bag, default_channels=2, channel=1)[0], samples)
    assert not content(bag, default_channels=2, channel=2)[0].any()
    mean = np.rint(samples / 2)
    np.testing.assert_allclose(content(bag, default_channels=2)[0], mean, atol=1)
    with pytest.raises(AudioSourceError, match='channel is 3, it has 2'):
        BagSource(bag, default_channels=2, channel=3)


# -- which topic -------------------------------------------------------------------------------


def test_chunks_go_before_windows_and_both_before_arrays(tmp_path, store, samples):
    chunks = audio_chunks(store, samples, topic='/robot1/audio')
    framed = windows(store, samples, topic='/robot1/audio_window')
    bag = write_bag(tmp_path / 'b', chunks + framed + arrays(store, samples), store=store)
    assert content(bag)[1].name.endswith('(/robot1/audio)')
    for topic in ('/robot1/audio_window', 'array'):
        heard, source = content(bag, topic=topic)
        assert source.name.endswith(f'{topic})')
        np.testing.assert_array_equal(heard, samples)


def test_several_topics_are_listed_and_one_is_asked_for(tmp_path, store, samples):
    messages = audio_chunks(store, samples, topic='/left/audio')
    messages += audio_chunks(store, samples, topic='/right/audio')
    bag = write_bag(tmp_path / 'b', messages, store=store)
    with pytest.raises(AudioSourceError, match='--topic .*: /left/audio, /right/audio'):
        BagSource(bag)
    with pytest.raises(AudioSourceError, match='no audio on /middle; there is: /left/audio'):
        BagSource(bag, topic='/middle')
    assert content(bag, topic='right/audio')[1].name.endswith('(/right/audio)')


# -- what cannot be read -----------------------------------------------------------------------


def test_damage_on_the_way_keeps_what_came_before(tmp_path, store, samples):
    messages = audio_chunks(store, samples)
    messages[30][3].sample_rate = 4_000_000_000
    source = BagSource(write_bag(tmp_path / 'b', messages, store=store))
    blocks = []
    with source, pytest.raises(AudioSourceError, match='its rate is 4000000000 Hz'):
        while True:
            blocks.append(source.read(0.1))
    np.testing.assert_array_equal(np.concatenate(blocks), samples[: 30 * 1600])
    assert source.read(0.1) is None


def test_bags_that_cannot_be_used_are_named_in_one_line(tmp_path):
    for name, says in bad_bags(tmp_path).items():
        with pytest.raises(AudioSourceError) as raised:
            BagSource(tmp_path / name)
        line = str(raised.value)
        assert says in line and name in line and '\n' not in line
    tokens_only = BAGS / 'demo'
    with pytest.raises(AudioSourceError, match=f'no audio: run transcript merge {tokens_only}'):
        BagSource(tokens_only)


def test_merge_says_what_to_do_with_audio_only(tmp_path, store, samples, transcript):
    bag = write_bag(tmp_path / 'b', audio_chunks(store, samples), store=store)
    with pytest.raises(StreamError, match='holds audio'):
        list(read_bag(bag))
    done = transcript('merge', bag)
    assert (done.returncode, done.stdout) == (2, '')
    (line,) = done.stderr.strip().splitlines()
    assert line.endswith(f'decode it: transcript run --bag {bag}')


def test_a_merge_of_a_bag_is_the_same_every_time(transcript):
    runs = [transcript('merge', BAGS / 'spoken_mcap', '--format', 'json') for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout
    assert json.loads(runs[0].stdout)['text'].startswith(' David, the battery of the big robot')


def test_memory_does_not_grow_with_the_bag(tmp_path, store):
    peaks = []
    rng = np.random.default_rng(3)
    for seconds in (30, 180):
        noise = rng.integers(-9000, 9000, seconds * RATE_HZ).astype(np.int16)
        bag = write_bag(tmp_path / str(seconds), audio_chunks(store, noise), store=store)
        del noise
        tracemalloc.start()
        with BagSource(bag) as source:
            count = 0
            while (block := source.read()) is not None:
                count += len(block)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert count == seconds * RATE_HZ
    assert peaks[1] < peaks[0] + 1_500_000  # the audio itself is 5 MB more
