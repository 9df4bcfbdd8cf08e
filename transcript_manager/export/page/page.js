(() => {
  'use strict';
  const NEAR_S = 0.3;  // a word stays marked so long after its end, if nothing follows
  const ROUNDING_S = 0.0005;  // players keep time in whole microseconds
  const LONGEST_WAIT_S = 0.25;  // so often the slider moves
  const MANY_HITS = 5000;

  const root = document.documentElement;
  const find = (id) => document.getElementById(id);
  const main = find('transcript');
  const segments = [...main.querySelectorAll('.segment')];
  const words = [...main.querySelectorAll('.w')];
  const segmentOf = new Int32Array(words.length);
  const firstOf = segments.map(() => 0);
  const lowerBound = (values, value) => {
    let from = 0;
    let to = values.length;
    while (from < to) {
      const middle = (from + to) >> 1;
      if (values[middle] <= value) from = middle + 1; else to = middle;
    }
    return from - 1;  // the last that is not greater
  };
  const starts = new Float64Array(words.length);
  const ends = new Float64Array(words.length);
  let number = 0;
  segments.forEach((segment, at) => {
    firstOf[at] = number;
    for (const word of segment.querySelectorAll('.w')) {
      const start = Number(word.dataset.s);
      starts[number] = number ? Math.max(start, starts[number - 1]) : start;
      ends[number] = Number(word.dataset.e);
      segmentOf[number] = at;
      number += 1;
    }
  });
  const indexOf = new Map(words.map((word, at) => [word, at]));
  const calm = matchMedia('(prefers-reduced-motion: reduce)');
  const clock = (seconds) => {
    const whole = Math.max(0, Math.floor(seconds));
    const two = (value) => String(value).padStart(2, '0');
    const minutes = Math.floor(whole / 60);
    return minutes < 60
      ? `${minutes}:${two(whole % 60)}`
      : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
  };

  // -- what is in view --
  const header = document.querySelector('header');
  const bar = document.querySelector('.bar');
  const isInView = (element) => {
    const box = element.getBoundingClientRect();
    const below = bar.hidden ? innerHeight : bar.getBoundingClientRect().top;
    return box.top >= header.getBoundingClientRect().bottom && box.bottom <= below;
  };
  const show = (element) => {
    if (isInView(element)) return;
    const isFar = Math.abs(element.getBoundingClientRect().top) > 2 * innerHeight;
    const center = (behavior) => element.scrollIntoView({ block: 'center', behavior });
    center(isFar || calm.matches ? 'instant' : 'smooth');
    // What was never in view has a guessed height until it is: look again when it has its own.
    if (isFar) requestAnimationFrame(() => { if (!isInView(element)) center('instant'); });
  };

  // -- one word at a time can be reached with the Tab key --
  const detail = find('detail');
  let chosen = -1;
  const choose = (at, { focus = false } = {}) => {
    if (at < 0 || at >= words.length) return;
    const before = words[chosen];
    if (before && chosen !== at) {
      before.removeAttribute('tabindex');
      before.removeAttribute('role');
      segments[segmentOf[chosen]].querySelector('button.at')?.setAttribute('tabindex', '-1');
    }
    chosen = at;
    const word = words[at];
    word.tabIndex = 0;
    word.setAttribute('role', 'button');
    segments[segmentOf[at]].querySelector('button.at')?.setAttribute('tabindex', '0');
    if (focus) word.focus({ preventScroll: true });
  };
  const describe = (at) => {
    const word = words[at];
    const told = [`“${word.textContent}” ${starts[at].toFixed(2)}–${ends[at].toFixed(2)} s`];
    if (word.dataset.p) told.push(`${Math.round(100 * Number(word.dataset.p))} % sure`);
    if (word.dataset.n) told.push(`heard in ${word.dataset.n} ${word.dataset.n === '1' ? 'window' : 'windows'}`);
    if (word.title) told.push(word.title);
    detail.textContent = told.join(' · ');
    detail.hidden = false;
    bar.hidden = false;
  };
  const isInText = () => indexOf.has(document.activeElement);

  // -- audio --
  const holder = find('audio');
  let audio = null;
  let current = -1;  // the word being spoken
  let place = -1;  // the last word that has begun
  let speaking = -1;  // its segment
  let isFollowing = true;
  const back = find('back');
  const follow = (on) => {
    isFollowing = on;
    back.hidden = on || !audio || audio.paused;
  };
  const setCurrent = (at) => {
    if (at === current) return;
    words[current]?.classList.remove('now');
    words[at]?.classList.add('now');
    current = at;
    if (at < 0) return;
    if (segmentOf[at] !== speaking) {
      segments[speaking]?.classList.remove('speaking');
      speaking = segmentOf[at];
      segments[speaking].classList.add('speaking');
    }
    if (!isInText()) choose(at);
    if (audio.paused) return;
    if (isFollowing) show(words[at]); else if (isInView(words[at])) follow(true);
  };
  const wordAt = (seconds) => {
    const at = lowerBound(starts, seconds + ROUNDING_S);
    if (at < 0) return -1;
    const next = at + 1 < starts.length ? starts[at + 1] : Infinity;
    return seconds < Math.min(next, ends[at] + NEAR_S) ? at : -1;
  };
  const startPlayer = () => {
    const seek = find('seek');
    const now = find('now');
    const play = find('play');
    const text = atob(holder.textContent);
    const bytes = new Uint8Array(text.length);
    for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
    audio = new Audio();
    audio.preload = 'auto';
    audio.src = URL.createObjectURL(new Blob([bytes], { type: holder.dataset.type }));
    holder.replaceWith(audio);

    let shown = -1;
    const update = () => {
      const at = audio.currentTime;
      setCurrent(wordAt(at));
      place = lowerBound(starts, at + ROUNDING_S);
      seek.value = at;
      const second = Math.floor(at);
      if (second === shown) return;
      shown = second;
      now.textContent = clock(at);
      seek.setAttribute('aria-valuetext', `${clock(at)} of ${find('whole').textContent}`);
    };
    // Not in every frame: each costs, in a long page, though nothing changes. It is known when
    // the next word begins and when this one ends.
    let timer = 0;
    const tick = () => {
      clearTimeout(timer);
      update();
      if (audio.paused) return;
      const at = audio.currentTime;
      const changes = [starts[place + 1], ends[place] + NEAR_S].filter((change) => change > at);
      const wait = Math.min(LONGEST_WAIT_S, (Math.min(...changes) - at) / audio.playbackRate);
      timer = setTimeout(tick, Math.max(1, Math.ceil(1000 * wait)));
    };
    const setPlaying = () => {
      const on = !audio.paused;
      root.classList.toggle('playing', on);
      play.setAttribute('aria-label', on ? 'Pause' : 'Play');
      play.title = on ? 'Pause (space)' : 'Play (space)';
      follow(isFollowing);
    };
    audio.addEventListener('play', () => { setPlaying(); tick(); });
    audio.addEventListener('pause', () => { setPlaying(); tick(); });
    audio.addEventListener('ended', setPlaying);
    for (const type of ['seeking', 'seeked', 'playing', 'ratechange', 'timeupdate']) {
      audio.addEventListener(type, tick);
    }
    audio.addEventListener('error', () => {
      find('trouble').textContent = 'This browser cannot play the embedded audio (Ogg Opus): '
        + 'a newer one can (Safari from 18.4 on).';
      play.disabled = true;
    });
    play.addEventListener('click', toggle);
    seek.addEventListener('input', () => { audio.currentTime = Number(seek.value); });
    find('speed').addEventListener('change', (event) => {
      audio.playbackRate = Number(event.target.value);
    });
    back.addEventListener('click', () => {
      follow(true);
      if (place >= 0) show(words[current < 0 ? place : current]);
    });
    for (const type of ['wheel', 'touchmove']) {
      addEventListener(type, () => follow(false), { passive: true });
    }
    addEventListener('pointerdown', (event) => {
      if (event.target === root) follow(false);  // the scroll bar
    });
  };
  const start = () => { audio.play().catch(() => {}); };  // the event "error" tells of trouble
  const toggle = () => {
    if (!audio) return;
    if (audio.paused) start(); else audio.pause();
  };
  const goTo = (at, { play = false } = {}) => {
    const to = Math.max(0, Math.min(words.length - 1, at));
    const isFocused = isInText();
    choose(to, { focus: isFocused || !audio });
    describe(to);
    follow(true);
    if (audio) {
      audio.currentTime = starts[to];
      place = to;  // the next key may come before the player is there
      setCurrent(to);
      if (play) start();
    }
    show(words[to]);
  };

  // -- search: without case, marks and punctuation, across words --
  const LETTERS = { ß: 'ss', æ: 'ae', œ: 'oe', ø: 'o', ł: 'l', đ: 'd', ı: 'i' };
  const plain = (text) => text.toLowerCase().normalize('NFKD')
    .replace(/[\p{Mn}\p{P}\p{S}\p{Cf}]/gu, '')
    .replace(/[ßæœøłđı]/g, (letter) => LETTERS[letter])
    .replace(/\s+/g, ' ');
  const query = find('query');
  const count = find('count');
  const [before, after] = [find('hit-before'), find('hit-after')];
  let haystack = null;  // made when it is first needed
  let wordStarts = null;
  let hits = [];  // [first word, last word]
  let hit = -1;
  const prepare = () => {
    const parts = [];
    wordStarts = new Int32Array(words.length);
    let length = 0;
    let endsInSpace = true;
    words.forEach((word, at) => {
      const isFirst = at === firstOf[segmentOf[at]];
      const space = at && (isFirst || /\s$/.test(word.previousSibling?.textContent ?? ''));
      if (space && !endsInSpace) {
        parts.push(' ');
        length += 1;
        endsInSpace = true;
      }
      wordStarts[at] = length;
      const text = plain(word.textContent);
      if (!text) return;  // punctuation alone
      parts.push(text);
      length += text.length;
      endsInSpace = false;
    });
    haystack = parts.join('');
  };
  const tell = () => {
    const total = hits.length === MANY_HITS ? `${MANY_HITS}+` : hits.length;
    count.textContent = !plain(query.value).trim() ? ''
      : hits.length ? `${hit + 1} of ${total}` : 'none';
    before.disabled = after.disabled = !hits.length;
  };
  const mark = (name, pairs, on) => {
    for (const [from, to] of pairs) {
      for (let at = from; at <= to; at += 1) words[at].classList.toggle(name, on);
    }
  };
  const jump = (to) => {
    if (!hits.length) return;
    mark('hit-now', hit < 0 ? [] : [hits[hit]], false);
    hit = (to + hits.length) % hits.length;
    mark('hit-now', [hits[hit]], true);
    follow(false);
    show(words[hits[hit][0]]);
    tell();
  };
  const search = () => {
    if (!haystack) prepare();
    const from = hit >= 0 ? hits[hit][0] : Math.max(0, place, chosen);
    mark('hit', hits, false);
    mark('hit-now', hits, false);
    hits = [];
    hit = -1;
    const wanted = plain(query.value).trim();
    let at = wanted ? haystack.indexOf(wanted) : -1;
    while (at >= 0 && hits.length < MANY_HITS) {
      hits.push([lowerBound(wordStarts, at), lowerBound(wordStarts, at + wanted.length - 1)]);
      at = haystack.indexOf(wanted, at + wanted.length);
    }
    mark('hit', hits, true);
    tell();
    if (hits.length) jump(Math.max(0, hits.findIndex(([first]) => first >= from)));
  };
  query.addEventListener('input', search);
  query.addEventListener('keydown', (event) => {
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      jump(event.shiftKey ? hit - 1 : hit + 1);
    } else if (event.key === 'Escape') {
      event.preventDefault();
      choose(hit >= 0 ? hits[hit][0] : Math.max(0, chosen), { focus: true });
    }
  });
  before.addEventListener('click', () => jump(hit - 1));
  after.addEventListener('click', () => jump(hit + 1));

  // -- conflicts, colours, help --
  const conflicts = find('conflicts');
  conflicts.hidden = !main.querySelector('.alt');
  const toggleConflicts = () => {
    const on = root.classList.toggle('with-others');
    conflicts.setAttribute('aria-pressed', on);
  };
  conflicts.addEventListener('click', toggleConflicts);
  const theme = find('theme');
  const prefersDark = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : prefersDark.matches);
  const tellTheme = () => theme.setAttribute('aria-pressed', isDark());
  theme.addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    tellTheme();
  });
  prefersDark.addEventListener('change', tellTheme);
  const keys = find('keys');
  const help = () => { if (!keys.open) keys.showModal(); };
  find('help').addEventListener('click', help);
  find('close').addEventListener('click', () => keys.close());

  // -- mouse and keys --
  main.addEventListener('click', (event) => {
    const word = event.target.closest('.w');
    const button = event.target.closest('button.at');
    if (!getSelection().isCollapsed && !button) return;  // text was selected, not clicked
    if (word) goTo(indexOf.get(word), { play: true });
    else if (button) goTo(firstOf[segments.indexOf(button.parentElement)], { play: true });
  });
  main.addEventListener('focusin', (event) => {
    const at = indexOf.get(event.target);
    if (at !== undefined) describe(at);
  });
  const origin = () => (isInText() || !audio ? chosen : Math.max(0, place));
  const sideways = (step) => {
    const isRightToLeft = getComputedStyle(words[Math.max(0, origin())].parentElement).direction === 'rtl';
    goTo(origin() + (isRightToLeft ? -step : step));
  };
  const upDown = (step) => {
    const isOnTime = document.activeElement?.matches('button.at');
    const at = segmentOf[Math.max(0, origin())] + step;
    if (at < 0 || at >= segments.length) return;
    goTo(firstOf[at]);
    if (isOnTime) segments[at].querySelector('button.at').focus({ preventScroll: true });
  };
  const actions = {
    ' ': toggle,
    ArrowLeft: () => sideways(-1),
    ArrowRight: () => sideways(1),
    ArrowUp: () => upDown(-1),
    ArrowDown: () => upDown(1),
    Enter: () => goTo(chosen, { play: true }),
    '/': () => query.select(),
    c: toggleConflicts,
    '?': help,
  };
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || keys.open || !words.length) return;
    const { target, key } = event;
    if (!Object.hasOwn(actions, key) || target.matches('input[type="search"]')) return;
    const isControl = target.matches('button, select');
    if (key === 'Enter' && !indexOf.has(target)) return;
    if (key === ' ' && (!audio || isControl)) return;
    if (key.startsWith('Arrow') && target.matches('input, select')) return;
    event.preventDefault();
    actions[key]();
  });
  for (const key of ['PageUp', 'PageDown', 'Home', 'End']) {
    addEventListener('keydown', (event) => { if (event.key === key) follow(false); });
  }

  // -- begin --
  for (const tools of document.querySelectorAll('.tools')) tools.hidden = false;
  if (holder) {
    bar.hidden = false;
    startPlayer();
  }
  choose(0);
  tellTheme();
  const bars = new ResizeObserver(() => {
    root.style.setProperty('--top', `${header.offsetHeight + 12}px`);
    root.style.setProperty('--bottom', `${bar.offsetHeight + 12}px`);
  });
  bars.observe(header);
  bars.observe(bar);
})();
