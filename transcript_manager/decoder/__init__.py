"""Decoding: models, and whisper.cpp through pywhispercpp. Knows no ROS."""
