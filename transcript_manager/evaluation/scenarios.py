"""Kinds of streams: each fault on its own, and all at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import random

from transcript_manager.evaluation.simulator import decode_stream, Faults, speak, SpokenWord
from transcript_manager.merge.decode import Decode

_NOISY = {
    'substitution': 0.07,
    'deletion': 0.03,
    'insertion': 0.02,
    'time_jitter_s': 0.14,
    'flicker': 0.2,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A kind of stream."""

    about: str
    faults: Faults = Faults()
    repetition: float = 0.0
    silence: float = 0.02

    def make(self, seed: int, duration_s: float) -> tuple[list[SpokenWord], Iterator[Decode]]:
        """Make a stream of this kind: the truth, and the decodes in order of arrival."""
        rng = random.Random(f'{self.about}{seed}')
        truth = speak(rng, duration_s, repetition=self.repetition, silence=self.silence)
        return truth, decode_stream(rng, truth, duration_s, self.faults)


SCENARIOS = {
    'clean': Scenario(about='2 % of words misheard'),
    'repetition': Scenario(about='phrases said twice and three times', repetition=0.5),
    'noisy': Scenario(
        about='12 % of words wrong, times and marks flicker', faults=Faults(**_NOISY)
    ),
    'unsure': Scenario(
        about='noisy, and probabilities tell little', faults=Faults(**_NOISY, probability_gap=0.1)
    ),
    'constant p': Scenario(
        about='probabilities tell nothing', faults=Faults(probability_gap=0.0, unsure=0.02)
    ),
    'lost': Scenario(about='40 % of windows lost', faults=Faults(lost_window=0.4)),
    'late': Scenario(
        about='25 % of windows late, 15 % twice',
        faults=Faults(late_window=0.25, repeated_window=0.15),
    ),
    'irregular': Scenario(about='hops of 0.05 s to 1.95 s', faults=Faults(irregular_hop=0.95)),
    'slow': Scenario(about='a window every 3 s', faults=Faults(hop_s=3.0, window_s=12.0)),
    'hard words': Scenario(
        about='12 % of words misheard the same way in a third of the windows',
        faults=Faults(hard_word=0.12),
    ),
    'guessed ends': Scenario(
        about='half of the words in the last 0.6 s guessed, words split',
        faults=Faults(edge_guess_s=0.6, split_word=0.05),
    ),
    'shifted': Scenario(
        about='a fifth of the windows off by up to 1.5 s, phrases repeated',
        faults=Faults(shifted_window=0.2),
        repetition=0.2,
    ),
    'loops': Scenario(about='10 % of the windows loop', faults=Faults(looping_window=0.1)),
    'silence': Scenario(
        about='long silences, most filled with inventions', faults=Faults(filler=0.8), silence=0.5
    ),
    'no times': Scenario(
        about='tokens without times, phrases repeated', faults=Faults(untimed=True), repetition=0.2
    ),
    'everything': Scenario(
        about='noisy, repetitive, a fifth of the windows lost, some shifted, looping, late',
        faults=Faults(
            **_NOISY,
            lost_window=0.2,
            shifted_window=0.05,
            looping_window=0.03,
            late_window=0.05,
            hard_word=0.03,
            filler=0.3,
        ),
        repetition=0.3,
        silence=0.1,
    ),
}
