"""QoS of every topic, named once."""

from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy


def _reliable(depth: int, *, latched: bool = False) -> QoSProfile:
    return QoSProfile(
        history=HistoryPolicy.KEEP_LAST,
        depth=depth,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE),
    )


AUDIO_WINDOW = _reliable(1)
"""The newest window; an older one is worthless."""
AUDIO = _reliable(100)
"""10 s of it: a recorder that is held up loses nothing; best-effort subscribers get it too."""
AUDIO_IN = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=200, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""Matches any publisher; deep enough for a burst."""
MUTE = _reliable(10)
TOKENS = _reliable(10)
PROMPT = _reliable(1)
TRANSCRIPT = _reliable(10)
TRANSCRIPT_FROZEN = _reliable(1000, latched=True)
"""Late subscribers get the last 1000 segments."""
TRANSCRIPT_TEXT = _reliable(1000, latched=True)
"""Latched too: it is a delta, and one lost before discovery would be missing for good."""
DIAGNOSTICS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=20, reliability=ReliabilityPolicy.BEST_EFFORT
)
"""To look at them; matches any publisher."""
LIVE_SPEECH = _reliable(10)
IS_SPEAKING = _reliable(1, latched=True)
"""Published when it changes, so a late subscriber must get the newest."""
VOICES_TRACKED = _reliable(1, latched=True)
"""As REP-155's listeners have it."""
