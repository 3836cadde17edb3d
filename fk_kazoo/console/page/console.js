// The page of `fk-kazoo console`. Whatever is stored comes in as text only (textContent), never as markup.
"use strict";

const $ = (id) => document.getElementById(id);
const state = { path: "/", node: null, as: "text", view: "node", write: false, items: new Map() };

// --- asking -----------------------------------------------------------------

async function ask(question, fields = {}, options = {}) {
  const answer = await fetch("api/" + question + "?" + new URLSearchParams(fields), options);
  const value = await answer.json().catch(() => ({ error: "the console does not answer as it should" }));
  if (!answer.ok) throw Object.assign(new Error(value.error), { status: answer.status });
  return value;
}

function complain(error) {
  $("error").textContent = error ? (error.status ? error.message : "the console is not there: is it still running?") : "";
  $("error").hidden = !error;
}

function guarded(work) {
  return async (...given) => { try { await work(...given); } catch (error) { complain(error); } };
}

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

const join = (parent, name) => (parent === "/" ? "/" : parent + "/") + name;
const parentOf = (path) => path.slice(0, path.lastIndexOf("/")) || "/";
const shown = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => "\\u{" + c.codePointAt(0).toString(16) + "}");
const size = (bytes) => bytes < 1024 ? bytes + " B" : bytes < 1048576 ? (bytes / 1024).toFixed(1) + " kB" : (bytes / 1048576).toFixed(2) + " MB";
const moment = (ms) => new Date(ms).toLocaleString();

// --- the tree ---------------------------------------------------------------

// An item: {path, li, row, list, open, last}; what is not open has no children here.
function makeItem(path, fields) {
  const li = element("li");
  li.setAttribute("role", "treeitem");
  li.setAttribute("aria-selected", "false");
  li.dataset.path = path;
  const row = element("div", undefined, "row" + (fields.ephemeral ? " ephemeral" : ""));
  const item = { path, li, row, list: null, open: false, last: "" };
  row.append(element("span", "", "twist"), element("span", path === "/" ? "/" : shown(path.slice(path.lastIndexOf("/") + 1)), "label"), element("span", "", "count"));
  row.title = path + (fields.ephemeral ? " (ephemeral)" : "");
  li.append(row);
  row.addEventListener("click", guarded(async (event) => {
    if (event.target.className === "twist") await toggle(item); else await go(path);
  }));
  row.addEventListener("dblclick", guarded(() => toggle(item)));
  state.items.set(path, item);
  count(item, fields.children);
  return item;
}

function count(item, children) {
  item.children = children;
  item.row.querySelector(".twist").textContent = children ? (item.open ? "▾" : "▸") : "";
  item.row.querySelector(".count").textContent = children ? "(" + children + ")" : "";
  if (children) item.li.setAttribute("aria-expanded", String(item.open)); else item.li.removeAttribute("aria-expanded");
}

async function toggle(item) {
  if (item.open) return close(item);
  await open(item);
}

function close(item) {
  for (const path of [...state.items.keys()]) if (path !== item.path && (item.path === "/" || path.startsWith(item.path + "/"))) state.items.delete(path);
  if (item.list) item.list.remove();
  item.list = null;
  item.open = false;
  item.last = "";
  count(item, item.children);
}

async function open(item) {
  const found = await ask("children", { path: item.path });
  if (item.list) close(item);
  item.open = true;
  item.list = element("ul");
  item.list.setAttribute("role", "group");
  item.li.append(item.list);
  append(item, found);
}

function append(item, found) {
  for (const one of found.children) item.list.append(makeItem(join(item.path, one.name), one).li);
  item.last = found.last;
  count(item, found.total);
  const more = item.list.querySelector(":scope > .more");
  if (more) more.remove();
  if (!found.more) return;
  const left = element("li", undefined, "more");
  const button = element("button", "more of " + found.total + " …");
  button.addEventListener("click", guarded(async () => append(item, await ask("children", { path: item.path, after: item.last }))));
  left.append(button);
  item.list.append(left);
}

// What is open is read anew, and what was open in it stays open.
async function refresh(item) {
  const found = await ask("children", { path: item.path });
  if (!item.open) return count(item, found.total);
  const before = new Set([...state.items.keys()].filter((path) => path !== item.path && parentOf(path) === item.path));
  if (item.last > found.last && found.more) return count(item, found.total);  // further pages are shown: they stay
  const fresh = [];
  let position = null;
  for (const one of found.children) {
    const path = join(item.path, one.name);
    let here = state.items.get(path);
    if (!here) { here = makeItem(path, one); fresh.push(here); } else if (!here.open) count(here, one.children);
    const next = position ? position.nextSibling : item.list.firstChild;
    if (next !== here.li) item.list.insertBefore(here.li, next);
    position = here.li;
    before.delete(path);
  }
  for (const path of before) {
    const gone = state.items.get(path);
    if (gone.open) close(gone);
    gone.li.remove();
    state.items.delete(path);
  }
  count(item, found.total);
  for (const one of fresh) flash(one.row);
}

function flash(row) {
  row.classList.add("fresh");
  setTimeout(() => row.classList.remove("fresh"), 1500);
}

// --- a node -----------------------------------------------------------------

async function go(path) {
  const node = await ask("node", { path });
  complain(null);
  state.path = path;
  view("node");
  await reveal(path);
  show(node);
  $("events").replaceChildren();
  history.replaceState(null, "", "#" + encodeURI(path));
}

async function reveal(path) {
  let item = state.items.get("/");
  const parts = path === "/" ? [] : path.slice(1).split("/");
  let at = "/";
  for (const name of parts) {
    const below = join(at, name);
    if (!item.open) await open(item);
    if (!state.items.has(below)) {  // on a page that is not shown
      const found = await ask("children", { path: at, prefix: name });
      const one = found.children.find((each) => each.name === name);
      if (!one) break;
      item.list.prepend(makeItem(below, one).li);
    }
    at = below;
    item = state.items.get(below);
  }
  for (const one of document.querySelectorAll('#tree [aria-selected="true"]')) one.setAttribute("aria-selected", "false");
  item.li.setAttribute("aria-selected", "true");
  item.row.scrollIntoView({ block: "nearest" });
}

function bytesOf(node) {
  return node.base64 === null ? new Uint8Array() : Uint8Array.from(atob(node.base64), (c) => c.charCodeAt(0));
}

function textOf(node) {
  try { return new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(node)); } catch { return null; }
}

function hexOf(bytes) {
  const lines = [];
  for (let at = 0; at < Math.min(bytes.length, 65536); at += 16) {
    const part = [...bytes.slice(at, at + 16)];
    lines.push(at.toString(16).padStart(6, "0") + "  " + part.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(48) + " " + part.map((b) => b > 31 && b < 127 ? String.fromCharCode(b) : ".").join(""));
  }
  if (bytes.length > 65536) lines.push("… " + size(bytes.length) + " in all");
  return lines.join("\n");
}

function dataOf(node) {
  const text = textOf(node);
  if (state.as === "hex" || text === null) return hexOf(bytesOf(node));
  if (state.as === "json") { try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return "(no JSON)\n" + text; } }
  return text;
}

function show(node) {
  state.node = node;
  $("name").textContent = shown(node.path);
  $("data").textContent = dataOf(node);
  const bytes = bytesOf(node).length;
  $("size").textContent = (node.base64 === null ? "no data" : size(bytes) + (bytes >= 1024 ? " (" + bytes + " bytes)" : "")) + ", version " + node.stat.version;
  $("edit").hidden = !state.write || textOf(node) === null;
  const rows = Object.entries(node.stat).map(([name, value]) => {
    const row = element("tr");
    let text = String(value);
    if (name.endsWith("_ms")) text = moment(value);
    else if (name.endsWith("zxid") || name === "ephemeral_owner") text = "0x" + value.toString(16);
    if (name === "ephemeral_owner") text = node.session || "0x0";  // 64 bits are more than a number holds here
    row.append(element("th", name.replace("_ms", "").replace("_", " ")), element("td", text));
    return row;
  });
  $("stat").replaceChildren(...rows);
  $("acl").replaceChildren(...(node.acl || ["not readable with these credentials"]).map((one) => element("li", shown(one))));
}

// --- editing ----------------------------------------------------------------

function edit() {
  if ($("edit").hidden || !$("editor").hidden) return;
  state.editing = state.node;
  $("text").value = textOf(state.node);
  $("editing").textContent = "of version " + state.node.stat.version;
  $("editor").hidden = false;
  $("data").hidden = true;
  $("text").focus();
}

function stopEditing() {
  state.editing = null;
  $("editor").hidden = true;
  $("data").hidden = false;
}

const save = guarded(async () => {
  const node = state.editing;
  const bytes = new TextEncoder().encode($("text").value);
  let binary = "";
  for (let at = 0; at < bytes.length; at += 32768) binary += String.fromCharCode(...bytes.subarray(at, at + 32768));
  const body = JSON.stringify({ path: node.path, base64: btoa(binary), version: node.stat.version });
  await ask("node", {}, { method: "PUT", headers: { "Content-Type": "application/json" }, body });
  stopEditing();
  complain(null);
  show(await ask("node", { path: node.path }));
});

// --- the other views --------------------------------------------------------

function view(name) {
  state.view = name;
  if (name !== "node" || (state.editing && state.editing.path !== state.path)) stopEditing();
  for (const one of document.querySelectorAll("[data-view]")) one.setAttribute("aria-pressed", String(one.dataset.view === name));
  $("node").hidden = name !== "node";
  $("other").hidden = name === "node";
}

function link(path) {
  const made = element("button", shown(path), "path");
  made.type = "button";
  made.addEventListener("click", guarded(() => go(path)));
  return made;
}

function table(titles, rows) {
  const made = element("table");
  const head = element("tr");
  head.append(...titles.map((title) => element("th", title)));
  made.append(head, ...rows.map((cells) => {
    const row = element("tr");
    row.append(...cells.map((cell) => { const td = element("td"); td.append(cell); return td; }));
    return row;
  }));
  return made;
}

function list(nodes) {
  const made = element("span");
  nodes.forEach((one) => made.append(one, element("br")));
  return made;
}

const VIEWS = {
  async sessions() {
    const found = await ask("sessions");
    const rows = found.map((one) => [one.session, one.timeout_ms === null ? "" : one.timeout_ms / 1000 + " s", one.from || "not known", (one.identities || []).map(shown).join(" "), list(one.ephemerals.map(link))]);
    return [element("h2", found.length + " sessions"), table(["session", "timeout", "from", "identities", "owns"], rows)];
  },
  async locks() {
    const found = await ask("locks", { path: state.path });
    const now = Date.now();
    const made = [element("h2", "At and below " + shown(state.path))];
    for (const lock of found.locks) {
      const title = element("h3", lock.recipe + " ");
      title.append(link(lock.path));
      const rows = lock.contenders.map((one) => [one.holds ? "holds" : "waits", Math.max(0, Math.round((now - one.since_ms) / 1000)) + " s", "0x" + one.fence.toString(16), one.session, shown(one.data || one.base64 || "")]);
      made.push(title, table(["", "for", "fence", "session", "says"], rows));
    }
    if (found.queues.length) made.push(element("h3", "queues"), table(["queue", "kind", "length"], found.queues.map((one) => [link(one.path), one.recipe, String(one.length)])));
    if (!found.locks.length && !found.queues.length) made.push(element("p", "No locks, elections or queues."));
    if (found.cut) made.push(element("p", "Only the first " + found.looked_at + " nodes were looked at: go to a node further down."));
    return made;
  },
  async cost() {
    const found = await ask("cost");
    const rows = Object.entries(found.by_item_usd).map(([name, usd]) => [name, usd.toFixed(4)]);
    return [element("h2", found.usd.toFixed(2) + " USD since " + moment(found.since_ms)), table(["", "USD"], rows), element("p", "Counted by CloudWatch, at today's prices; inboxes, storage and traffic are not in it.")];
  },
};

const look = guarded(async (name) => {
  view(name);
  if (name === "node") return;
  $("other").replaceChildren(element("p", "…"));
  const made = await VIEWS[name]();
  complain(null);
  if (state.view === name) $("other").replaceChildren(...made);
});

// --- changes ----------------------------------------------------------------

let later = null;
const changed = new Map();

function happened(event) {
  if (event.event === "connection") {
    $("state").textContent = event.path.toLowerCase();
    $("state").className = event.path === "CONNECTED" ? "" : "lost";
    return;
  }
  changed.set(event.path, event.event);
  if (event.event !== "missed" && (event.path === state.path || parentOf(event.path) === state.path)) {
    $("events").prepend(element("li", new Date().toLocaleTimeString() + "  " + event.event + "  " + shown(event.path)));
    while ($("events").children.length > 50) $("events").lastChild.remove();
  }
  if (!later) later = setTimeout(guarded(catchUp), 100);  // many at once are read once
}

async function catchUp() {
  later = null;
  const now = new Map(changed);
  changed.clear();
  const missed = now.delete("");
  const parents = new Set();
  for (const [path, kind] of now) parents.add(kind === "created" || kind === "deleted" ? parentOf(path) : path);
  if (missed) for (const [path, item] of state.items) if (item.open) parents.add(path);
  for (const path of parents) {
    const item = state.items.get(path);
    if (item) await refresh(item).catch((error) => { if (error.status !== 404) throw error; });
  }
  if (!missed && !now.has(state.path)) return;
  try {
    const node = await ask("node", { path: state.path });
    if (state.editing) {
      if (node.stat.version !== state.editing.stat.version) $("editing").textContent = "of version " + state.editing.stat.version + "; it has " + node.stat.version + " by now: Save will be refused";
    } else show(node);
    complain(null);
  } catch (error) {
    if (error.status !== 404) throw error;
    complain(Object.assign(new Error(state.path + " was deleted"), { status: 404 }));
  }
}

function listen() {
  const source = new EventSource("api/events");
  let lost = false;
  source.onopen = () => { if (lost) happened({ event: "missed", path: "" }); lost = false; };
  source.onmessage = (message) => happened(JSON.parse(message.data));
  source.onerror = () => { lost = true; happened({ event: "connection", path: "the console has ended" }); };
}

// --- keys and beginnings ----------------------------------------------------

function rowsInOrder() {
  return [...document.querySelectorAll("#tree [role=treeitem]")];
}

document.addEventListener("keydown", guarded(async (event) => {
  const typing = /^(INPUT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key === "Escape") { stopEditing(); if (typing) event.target.blur(); return; }
  if ((event.ctrlKey || event.metaKey) && event.key === "Enter" && state.editing) { event.preventDefault(); return save(); }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const buttons = [...document.querySelectorAll("[data-view]:not([hidden])")];
  if (event.key === "/") { event.preventDefault(); $("path").focus(); $("path").select(); return; }
  if (event.key === "e") { event.preventDefault(); return edit(); }
  if (/^[1-4]$/.test(event.key) && buttons[event.key - 1]) return look(buttons[event.key - 1].dataset.view);
  const item = state.items.get(state.path);
  if (!item) return;
  const rows = rowsInOrder();
  const at = rows.indexOf(item.li);
  const to = { ArrowDown: rows[at + 1], ArrowUp: rows[at - 1] }[event.key];
  if (to) { event.preventDefault(); return go(to.dataset.path); }
  if (event.key === "ArrowRight" || (event.key === "Enter" && event.target.tagName !== "BUTTON")) { event.preventDefault(); if (!item.open && item.children) await open(item); else if (event.key === "Enter") close(item); }
  if (event.key === "ArrowLeft") { event.preventDefault(); if (item.open) close(item); else if (item.path !== "/") await go(parentOf(item.path)); }
}));

$("go").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  const wanted = $("path").value.trim();
  await go((wanted.startsWith("/") ? wanted : "/" + wanted).replace(/(.)\/+$/, "$1"));
  $("path").blur();
}));
$("edit").addEventListener("click", edit);
$("cancel").addEventListener("click", stopEditing);
$("editor").addEventListener("submit", (event) => { event.preventDefault(); save(); });
for (const one of document.querySelectorAll("[data-view]")) one.addEventListener("click", () => look(one.dataset.view));
for (const one of document.querySelectorAll("[data-as]")) one.addEventListener("click", () => {
  state.as = one.dataset.as;
  for (const each of document.querySelectorAll("[data-as]")) each.setAttribute("aria-pressed", String(each === one));
  if (state.node) $("data").textContent = dataOf(state.node);
});

guarded(async () => {
  const place = await ask("place");
  state.write = place.write;
  document.title = place.url + " – fk-kazoo";
  $("url").textContent = place.url;
  $("mode").textContent = (place.write ? "writable" : "read-only") + (place.live ? "" : ", no live changes: this ZooKeeper is older than 3.6");
  document.querySelector('[data-view="cost"]').hidden = !place.aws;
  const root = makeItem("/", { children: 0 });
  $("tree").append(root.li);
  await open(root);
  let wanted = "/";
  try { wanted = decodeURI(location.hash.slice(1)) || "/"; } catch { /* as if there was none */ }
  await go(wanted).catch(() => go("/"));
  listen();
})();
