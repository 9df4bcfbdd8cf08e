"""Language: detected once, then kept."""

from transcript_manager.decoder.language import LanguageLock


def test_a_given_language_is_never_asked_for():
    lock = LanguageLock('de')
    assert (lock.language, lock.is_locked) == ('de', True)
    assert not lock.wants(10.0)
    lock.detect_again()
    assert lock.language == 'de' and not lock.wants(10.0)


def test_a_sure_window_locks_at_once():
    lock = LanguageLock('auto')
    assert lock.language == '' and lock.wants(5.0)
    lock.hear({'en': 0.95, 'de': 0.05}, 5.0)
    assert lock.language == 'en' and lock.is_locked
    assert not lock.wants(10.0)


def test_unsure_windows_are_added_up_and_the_third_locks():
    lock = LanguageLock('auto')
    for probabilities in ({'en': 0.5, 'nl': 0.4}, {'en': 0.1, 'nl': 0.7}, {'en': 0.3, 'nl': 0.6}):
        assert lock.wants(5.0)
        lock.hear(probabilities, 5.0)
    assert lock.language == 'nl' and lock.is_locked


def test_a_word_or_two_give_a_guess_that_is_not_kept():
    lock = LanguageLock('auto')
    assert lock.wants(0.3)
    lock.hear({'cy': 0.9, 'en': 0.1}, 0.3)
    assert lock.language == 'cy' and not lock.is_locked
    assert not lock.wants(0.5)  # no more of that
    lock.hear({'cy': 0.01, 'en': 0.99}, 4.0)
    assert lock.language == 'en' and lock.is_locked


def test_silence_gives_no_clear_vote_and_is_not_asked_for_ever():
    lock = LanguageLock('auto')
    for _ in range(9):
        assert lock.wants(10.0)
        lock.hear({'nn': 0.4, 'en': 0.3}, 10.0)
        assert not lock.is_locked
    lock.hear({'nn': 0.4, 'en': 0.3}, 10.0)
    assert lock.is_locked


def test_detection_starts_again_on_request():
    lock = LanguageLock('auto')
    lock.hear({'en': 0.99}, 5.0)
    lock.detect_again()
    assert lock.wants(5.0) and lock.language == ''
    lock.hear({'fr': 0.99}, 5.0)
    assert lock.language == 'fr'
