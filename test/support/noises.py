"""Sound that is no speech: silence, a fan, tones like music; the same every time."""

import numpy as np

RATE_HZ = 16000


def silence(seconds):
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def fan(seconds, *, level=0.03, seed=0):
    """Brown noise without its slow drift, hum and its harmonic, a hiss."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    brown = np.cumsum(random.normal(size=count + 400))
    brown = brown[400:] - np.convolve(brown, np.ones(400) / 400, 'same')[400:]
    time_s = np.arange(count) / RATE_HZ
    hum = 0.7 * np.sin(2 * np.pi * 120 * time_s) + 0.35 * np.sin(2 * np.pi * 237 * time_s)
    sound = brown / brown.std() + hum + 0.3 * random.normal(size=count)
    return (level * sound).astype(np.float32)


def music(seconds, *, seed=0):
    """Plucked notes of a scale, two a second, with four harmonics, and a chord under them."""
    random = np.random.default_rng(seed)
    count = round(seconds * RATE_HZ)
    sound = np.zeros(count + RATE_HZ)
    scale_hz = (261.6, 293.7, 329.6, 392.0, 440.0, 523.3)
    note_s = np.arange(RATE_HZ) / RATE_HZ
    for begin in range(0, count, RATE_HZ // 2):
        pitch_hz = scale_hz[random.integers(len(scale_hz))]
        for harmonic in range(1, 5):
            wave = np.sin(2 * np.pi * pitch_hz * harmonic * note_s)
            sound[begin : begin + RATE_HZ] += 0.08 / harmonic * wave * np.exp(-note_s * 3.2)
    time_s = np.arange(count) / RATE_HZ
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (130.8, 164.8, 196.0))
    return (sound[:count] + 0.02 * chord).astype(np.float32)


def all_kinds(seconds):
    return {'silence': silence(seconds), 'fan': fan(seconds), 'music': music(seconds)}
