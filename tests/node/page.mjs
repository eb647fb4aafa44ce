// Opens a page in chromium and prints as JSON what it showed, how it grew, and its errors. PAGE in the environment is
// {"browser", "url", "storage", "shows", "args"}; `shows` is a regular expression that the text comes to match.
import { chromium } from "playwright-core";

const { browser: executablePath, url, storage, shows, args } = JSON.parse(process.env.PAGE);
const flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", ...args];
const browser = await chromium.launch({ executablePath, args: flags });
const errors = [];
const growth = [];
let text = "";
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  await page.exposeFunction("grown", (length) => growth.push(length));
  await page.addInitScript((values) => {
    Object.assign(localStorage, values);
    const note = () => globalThis.grown(document.body.innerText.length);
    document.addEventListener("DOMContentLoaded", () =>
      new MutationObserver(note).observe(document.body, { childList: true, subtree: true, characterData: true }));
  }, storage);
  await page.goto(url);
  await page.waitForFunction((source) => new RegExp(source).test(document.body.innerText), shows, { timeout: 15_000 });
  for (let before = null; before !== text; await page.waitForTimeout(250)) {
    before = text;
    text = await page.evaluate(() => document.body.innerText);
  }
} finally {
  await browser.close();
}
process.stdout.write(JSON.stringify({ text, errors, growth }));
