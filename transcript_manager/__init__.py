"""Streaming transcription for robots: audio ring, whisper.cpp decoder, transcript merge."""

# The generated messages (transcript_manager.msg) exist only where the package was built. This
# line joins both halves when the checkout stands first on sys.path; it must stay the only
# behaviour here, because rosidl installs an empty file of this name that may win over this one.
__path__ = __import__('pkgutil').extend_path(__path__, __name__)
