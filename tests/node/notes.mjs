// Drives the page of the example `notes`: node notes.mjs URL
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage({ viewport: { width: 390, height: 844 } });
const faults = [];
page.on("pageerror", (error) => faults.push(error.message));
page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) faults.push(message.text()); });
page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith("data:")) faults.push(request.url()); });

await page.goto(`${url}/app.html`);
await page.getByLabel("User ID").fill("alice");
await page.getByLabel("Password").fill("correct horse");
await page.getByRole("button", { name: "Log in" }).click();
await page.getByRole("alert").filter({ hasText: "Invalid user ID or password" }).waitFor();
await page.getByRole("button", { name: "Create account" }).click();
for (const text of ["milk", "eggs <b>"]) {
  await page.getByLabel("New note").fill(text);
  await page.getByRole("button", { name: "Add" }).click();
  await page.getByRole("listitem").filter({ hasText: text }).waitFor();
}
await page.reload();
await page.getByRole("listitem").nth(1).waitFor();
assert.match(await page.getByRole("listitem").first().innerText(), /^eggs <b>/, "the newest is first, and text is no HTML");
await page.getByRole("button", { name: "Remove" }).first().click();
await page.getByRole("listitem").filter({ hasText: "eggs" }).waitFor({ state: "detached" });
await page.getByRole("button", { name: "Log out" }).click();
await page.getByRole("button", { name: "Log in" }).waitFor();
assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 390));
assert.deepEqual(faults, []);
await browser.close();
console.log("ok");
