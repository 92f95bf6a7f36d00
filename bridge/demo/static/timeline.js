// Keeps the timeline up to date: asks once a second, and touches only what changed.
"use strict";

const timeline = document.getElementById("timeline");
const live = document.getElementById("live");
let revision = document.body.dataset.revision;

async function refresh() {
  const answer = await fetch(`/timeline.json?have=${revision}`);
  const news = await answer.json();
  if (news.posts) show(news);
  revision = String(news.revision);
}

async function watch() {
  try {
    await refresh();
    say("live", false);
  } catch {
    say("the demo has stopped", true);
  }
  setTimeout(watch, 1000);
}

function show({ posts, accounts }) {
  const shown = new Map([...timeline.children].map((article) => [article.dataset.id, article]));
  let place = timeline.firstElementChild;
  for (const post of posts) {
    const old = shown.get(post.id);
    const article = old && (isSame(old, post) || isInUse(old)) ? old : build(post, old);
    shown.delete(post.id);
    if (old && old !== article) {
      old.replaceWith(article);
      if (place === old) place = article;
    }
    if (place === article) place = article.nextElementSibling;
    else timeline.insertBefore(article, place);
  }
  for (const gone of shown.values()) gone.remove();
  const cards = document.getElementById("accounts");
  if (cards.dataset.html !== accounts) cards.innerHTML = cards.dataset.html = accounts;
  tellTimes();
}

function isSame(article, post) {
  return article.dataset.version === String(post.version);
}

function isInUse(article) {
  return Boolean(article.querySelector("textarea").value);
}

function build(post, old) {
  const template = document.createElement("template");
  template.innerHTML = post.html.trim(); // sanitised by the server, and no script runs here but this one
  const article = template.content.firstElementChild;
  const edited = old && old.querySelector(".content").innerHTML !== article.querySelector(".content").innerHTML;
  if (!old) article.classList.add("arrived");
  else if (edited) article.classList.add("changed");
  return article;
}

function tellTimes() {
  for (const time of document.querySelectorAll("time")) {
    const when = new Date(time.dateTime);
    time.textContent = since(when);
    time.title = when.toLocaleString("en");
  }
}

function since(when) {
  const minutes = (Date.now() - when) / 60000;
  if (minutes < 1) return "now";
  if (minutes < 60) return `${Math.floor(minutes)} min`;
  if (minutes < 60 * 24) return `${Math.floor(minutes / 60)} h`;
  const year = when.getFullYear() === new Date().getFullYear() ? undefined : "numeric";
  return when.toLocaleDateString("en", { day: "numeric", month: "short", year });
}

async function react(article, action, text) {
  const body = JSON.stringify({ post: article.dataset.id, do: action, text });
  const answer = await fetch("/react", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) alert((await answer.json()).error);
  await refresh();
}

function say(text, lost) {
  if (live.textContent !== text) live.textContent = text;
  live.classList.toggle("lost", lost);
}

timeline.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  const article = button.closest("article");
  if (button.dataset.do !== "write") return void react(article, button.dataset.do);
  const form = article.querySelector("form");
  form.hidden = !form.hidden;
  if (!form.hidden) form.elements.text.focus();
});

timeline.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = event.target.elements.text;
  if (!text.value.trim()) return;
  react(event.target.closest("article"), "reply", text.value);
  text.value = "";
});

tellTimes();
setInterval(tellTimes, 30000);
watch();
