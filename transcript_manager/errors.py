"""
The errors a user can cause, and nothing else.

::

    TranscriptManagerError      one line: what is wrong and what to do; exit code 2
      AudioSourceError          a file, microphone or format that cannot be used
      ModelError                a model that is unknown, missing, damaged or unfit
      StreamError               a recorded stream, bag, trace or text that cannot be used
      EndpointError             a language model that cannot be asked, or answers in no usable way
      ParameterError            a parameter or option out of range or contradicting another

Anything else that escapes is a defect of this package and keeps its traceback.
"""


class TranscriptManagerError(Exception):
    """A mistake of the user or the environment, with a message made for people."""


class AudioSourceError(TranscriptManagerError):
    """An audio file or device that cannot be used."""


class EndpointError(TranscriptManagerError):
    """A language model that cannot be asked, or that gives no usable answer."""


class ModelError(TranscriptManagerError):
    """A model that is unknown, missing, damaged or unfit for what is asked."""


class ParameterError(TranscriptManagerError):
    """A parameter or option that is out of range or contradicts another one."""


class StreamError(TranscriptManagerError):
    """A recorded stream, trace or text that cannot be read or is something else."""
