// The page of the notes, over the client that `server client typescript web` has written.
import { ApiError, connect, type NotesNoteNote, type Session } from "./api.js";

const element = <T extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as T;
const stored = sessionStorage.getItem("session");

const api = connect({
  url: location.origin,
  session: stored ? (JSON.parse(stored) as Session) : null,
  onSession: (session) => {
    if (session) sessionStorage.setItem("session", JSON.stringify(session));
    else sessionStorage.removeItem("session");
    show();
  },
});

/** Runs what a button does, and shows its error. */
async function attempt(action: () => Promise<unknown>): Promise<void> {
  element("error").textContent = "";
  try {
    await action();
  } catch (error) {
    element("error").textContent = error instanceof ApiError ? error.message : `The server cannot be reached: ${String(error)}`;
  }
}

function show(): void {
  const isLoggedIn = api.$connection.session !== null;
  element("login").hidden = isLoggedIn;
  element("notes").hidden = !isLoggedIn;
  element("list").replaceChildren();
  if (isLoggedIn) void attempt(() => load());
}

let oldest: number | undefined;

/** Adds a part of the list below what is shown. */
async function load(before?: number): Promise<void> {
  const { notes, has_more } = await api.notes.list(before === undefined ? {} : { before });
  element("list").append(...notes.map(row));
  oldest = notes.at(-1)?.id;
  element("more").hidden = !has_more;
}

function row(note: NotesNoteNote): HTMLLIElement {
  const item = document.createElement("li");
  const text = document.createElement("span");
  const time = document.createElement("time");
  const remove = document.createElement("button");
  text.textContent = note.text;
  time.textContent = new Date(note.created * 1000).toLocaleString();
  remove.textContent = "Remove";
  remove.addEventListener("click", () => void attempt(async () => {
    await api.notes.remove({ id: note.id });
    item.remove();
  }));
  item.append(text, time, remove);
  return item;
}

const credentials = () => ({ user_id: element<HTMLInputElement>("user").value, password: element<HTMLInputElement>("password").value });

element("login").addEventListener("submit", (event) => {
  event.preventDefault();
  void attempt(() => api.account.login(credentials()));
});
element("create").addEventListener("click", () => void attempt(() => api.account.create(credentials())));
element("logout").addEventListener("click", () => void attempt(() => api.account.logout()));
element("more").addEventListener("click", () => void attempt(() => load(oldest)));
element("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const input = element<HTMLInputElement>("text");
  void attempt(async () => {
    const note = await api.notes.add({ text: input.value });
    element("list").prepend(row(note));
    input.value = "";
  });
});
show();
