"""What tests ask of a page in a browser."""

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

TIMEOUT_S = 30


def until(chrome, condition, what):
    return WebDriverWait(chrome, TIMEOUT_S, poll_frequency=0.02).until(
        lambda _: condition(), f'{what}: not within {TIMEOUT_S} s'
    )


def by_id(chrome, name):
    return chrome.find_element(By.ID, name)


def press(chrome, *keys):
    ActionChains(chrome).send_keys(*keys).perform()


def marked(chrome):
    """Return the player's time [s] and the number of the word that is marked, or -1."""
    return chrome.execute_script(
        "return [document.querySelector('audio').currentTime, "
        "[...document.querySelectorAll('main .w')].findIndex(w => w.matches('.now'))]"
    )


def is_playing(chrome):
    return chrome.execute_script("return !document.querySelector('audio').paused")


def is_in_view(chrome, element):
    return chrome.execute_script(
        'const box = arguments[0].getBoundingClientRect();'
        "return box.top >= document.querySelector('header').getBoundingClientRect().bottom - 1"
        " && box.bottom <= (document.querySelector('.bar:not([hidden])')"
        '?.getBoundingClientRect().top ?? innerHeight) + 1',
        element,
    )
