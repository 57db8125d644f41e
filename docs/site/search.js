// The search of the documentation. The index is a script of its own, search-index.js, loaded when somebody begins to
// search; it calls searchIndex with a list of [page, section, link, text, names that it tells of].
//
// "/" or Ctrl+K goes to the field, the arrows choose, Enter goes there, Escape leaves.

"use strict";

(() => {
  const root = document.currentScript.dataset.root;
  const form = document.getElementById("search");
  const field = document.getElementById("query");
  const list = document.getElementById("results");
  const MOST = 12;

  let sections = null;
  let chosen = -1;

  function load() {
    if (window.searchIndex) return;
    window.searchIndex = (entries) => {
      sections = entries.map(([page, title, link, text, names]) => ({
        page, title, link, text,
        lowPage: page.toLowerCase(), lowTitle: title.toLowerCase(), lowText: text.toLowerCase(),
        lowNames: names.toLowerCase(),
      }));
      show();
    };
    const script = document.createElement("script");
    script.src = root + "search-index.js";
    document.head.append(script);
  }

  // How well a word fits a text: as a whole word, at the beginning of one, or in one.
  function fit(text, word) {
    let best = 0;
    for (let at = text.indexOf(word); at >= 0 && best < 3; at = text.indexOf(word, at + 1)) {
      const begins = at === 0 || !/[\p{L}\p{N}_]/u.test(text[at - 1]);
      const end = at + word.length;
      const ends = end === text.length || !/[\p{L}\p{N}_]/u.test(text[end]);
      best = Math.max(best, begins && ends ? 3 : begins ? 2 : 1);
    }
    return best;
  }

  // A section counts where it has every word; a word in a title, or in a name that it tells of, counts more.
  function score(section, words) {
    let sum = 0;
    for (const word of words) {
      const most = Math.max(8 * fit(section.lowTitle, word), 6 * fit(section.lowPage, word),
        5 * fit(section.lowNames, word), fit(section.lowText, word));
      if (most === 0) return 0;
      sum += most;
    }
    return section.title === "" ? sum + 1 : sum;
  }

  function find(words) {
    const found = [];
    sections.forEach((section, place) => {
      const points = score(section, words);
      if (points > 0) found.push({ section, points, place });
    });
    found.sort((a, b) => b.points - a.points || a.place - b.place);
    return found.slice(0, MOST).map((entry) => entry.section);
  }

  // Appends text to an element, the words in it marked.
  function mark(element, text, words) {
    const low = text.toLowerCase();
    let at = 0;
    while (at < text.length) {
      let next = text.length, length = 0;
      for (const word of words) {
        const place = low.indexOf(word, at);
        if (place >= 0 && place < next) [next, length] = [place, word.length];
      }
      element.append(text.slice(at, next));
      if (length > 0) {
        const marked = document.createElement("mark");
        marked.textContent = text.slice(next, next + length);
        element.append(marked);
      }
      at = next + length;
    }
  }

  // What stands around the first of the words; the beginning, where the title has it.
  function around(section, words) {
    const places = words.map((word) => section.lowText.indexOf(word)).filter((place) => place >= 0);
    const first = places.length > 0 && !section.lowTitle.includes(words[0]) ? Math.min(...places) : 0;
    const from = first < 50 ? 0 : section.text.indexOf(" ", first - 50) + 1;
    const text = section.text.slice(from, from + 150);
    return (from > 0 ? "... " : "") + text + (from + 150 < section.text.length ? " ..." : "");
  }

  function item(section, number, words) {
    const entry = document.createElement("li");
    entry.id = "result" + number;
    entry.setAttribute("role", "option");
    const link = document.createElement("a");
    link.href = root + section.link;
    link.tabIndex = -1;
    const title = document.createElement("strong");
    mark(title, section.title || section.page, words);
    link.append(title);
    if (section.title) {
      const page = document.createElement("span");
      mark(page, "  " + section.page, words);
      link.append(" ", page);
    }
    const text = document.createElement("p");
    mark(text, around(section, words), words);
    link.append(text);
    entry.append(link);
    return entry;
  }

  function choose(number) {
    const items = list.querySelectorAll("[role=option]");
    if (items.length === 0) return;
    chosen = (number + items.length) % items.length;
    items.forEach((entry, i) => entry.setAttribute("aria-selected", String(i === chosen)));
    items[chosen].scrollIntoView({ block: "nearest" });
    field.setAttribute("aria-activedescendant", items[chosen].id);
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function show() {
    const words = field.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    if (words.length === 0 || !sections) return close();
    const found = find(words);
    list.replaceChildren(...found.map((section, i) => item(section, i, words)));
    if (found.length === 0) {
      const none = document.createElement("li");
      none.className = "none";
      none.textContent = "Nothing has all of these words.";
      list.append(none);
    }
    list.hidden = false;
    field.setAttribute("aria-expanded", "true");
    choose(0);
  }

  const keys = {
    ArrowDown: () => choose(chosen + 1),
    ArrowUp: () => choose(chosen - 1),
    Escape: () => { close(); field.blur(); },
    Enter: () => {
      const link = list.hidden ? null : list.querySelector("[aria-selected=true] a");
      if (link) { close(); location.href = link.href; }
    },
  };

  field.addEventListener("focus", load);
  field.addEventListener("input", () => { load(); show(); });
  field.addEventListener("keydown", (event) => {
    if (keys[event.key] && !event.isComposing) {
      event.preventDefault();
      keys[event.key]();
    }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  document.addEventListener("click", (event) => {
    if (!form.contains(event.target) || event.target.closest("a")) close();
  });
  document.addEventListener("keydown", (event) => {
    const writing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if ((event.key === "/" && !writing && !event.ctrlKey && !event.metaKey && !event.altKey) ||
        (event.key === "k" && (event.ctrlKey || event.metaKey))) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  form.hidden = false; // without scripts there is no search
})();
