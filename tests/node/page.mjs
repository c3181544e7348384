// Drives the page of a server in development mode: node page.mjs URL METHODS [SCREENSHOTS]
//
// URL is that of the server, METHODS the folder of its methods. With SCREENSHOTS, pictures of the page are written into that folder.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { chromium } from "playwright-core";

const [url, methods, screenshots] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
await context.addInitScript(() => {
  addEventListener("securitypolicyviolation", (event) => { (window.violations ??= []).push(`${event.violatedDirective} ${event.blockedURI}`); });
});
const page = await context.newPage();
page.setDefaultTimeout(60_000);

const faults = [];
page.on("pageerror", (error) => faults.push(error.message));
page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) faults.push(message.text()); });
page.on("request", (request) => { if (!request.url().startsWith(url) && !request.url().startsWith("data:")) faults.push(`asks outside: ${request.url()}`); });

const text = (selector) => page.locator(selector).first().innerText();
const outcome = () => text("main .outcome");
const response = () => text("main pre[aria-label=Response]");
async function step(name, run) {
  try { await run(); } catch (error) { console.error(`FAILED: ${name}`); throw error; }
  assert.deepEqual(await page.evaluate(() => window.violations ?? []), [], name);
  assert.deepEqual(faults, [], name);
  console.log(`ok: ${name}`);
}
async function show(method) {
  await page.goto(`${url}/docs#${method}`);
  await page.locator("main h2", { hasText: method }).waitFor();
}
/** Calls the method that is shown, and waits for the outcome. */
async function call() {
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.locator("main .outcome b").waitFor();
}
async function logIn(button, user) {
  await page.getByRole("button", { name: "Log in" }).first().click();
  await page.getByLabel("User ID").fill(user);
  await page.getByLabel("Password", { exact: true }).fill("correct horse");
  await page.locator(button).click();
}

await step("a browser that opens / is sent to the page, which lists the methods", async () => {
  await page.goto(`${url}/`);
  await page.locator("main h2").waitFor();
  assert.equal(page.url(), `${url}/docs`);
  const names = await page.locator("nav a").evaluateAll((links) => links.map((link) => link.hash.slice(1)));
  for (const name of ["account.create", "account.login", "account.logout", "account.update", "demo.countdown", "demo.counter", "demo.echo", "demo.hello", "demo.wait"])
    assert.ok(names.includes(name), name);
});

await step("the filter is a key away", async () => {
  await page.keyboard.press("/");
  await page.keyboard.type("hell");
  assert.equal(await page.locator("nav a").count(), 1);
  await page.keyboard.press("Enter");
  await page.locator("main h2", { hasText: "demo.hello" }).waitFor();
  await page.getByLabel("Filter methods").fill("");
});

await step("a call without a session is not signed", async () => {
  await page.getByLabel("name", { exact: false }).first().fill("Ärger");
  await page.locator("[data-path='/n'] input").fill("1152921504606846976");
  await page.keyboard.press("Control+Enter");
  await page.locator("main .outcome b", { hasText: "ok" }).waitFor();
  assert.match(await outcome(), /^ok[^]*HTTP 200[^]*bytes\s+signature: not signed\s+request \S+$/);
  // Beyond 2^53, where a number of JavaScript has lost digits.
  assert.match(await response(), /1152921504606846977/);
});

await step("the form and the JSON are one state", async () => {
  await page.getByRole("tab", { name: "JSON" }).click();
  assert.deepEqual(await page.getByLabel("Parameters as JSON").inputValue(), '{"name": "Ärger", "n": 1152921504606846976}');
  await page.getByLabel("Parameters as JSON").fill('{"name": "x", "n": "one", "extra": 1}');
  await page.getByRole("tab", { name: "Form" }).click();
  assert.equal(await page.locator("[data-path='/n'] input").inputValue(), "one");
});

await step("an error is shown at its field", async () => {
  await call();
  assert.match(await outcome(), /error 1019/);
  assert.match(await text("[data-path='/n'] .error"), /expected an integer/);
  assert.equal(await page.locator("[data-path='/name'] .error").innerText(), "");
});

await step("every error is shown at its field", async () => {
  await page.getByRole("tab", { name: "JSON" }).click();
  await page.getByLabel("Parameters as JSON").fill('{"name": 5}');
  await page.getByRole("tab", { name: "Form" }).click();
  await call();
  assert.match(await text("[data-path='/name'] .error"), /expected a string, not the number 5/);
  assert.match(await text("[data-path='/n'] .error"), /missing/);
});

await step("a wrong password is said in the dialog", async () => {
  await logIn("#do-login", "alice");
  await page.locator("#login-error", { hasText: "Invalid user ID or password" }).waitFor();
  await page.locator("#do-cancel").click();
});

await step("an account is created, a call signed and its answer verified", async () => {
  await logIn("#do-create", "alice");
  await page.getByRole("button", { name: "Log out alice" }).waitFor();
  await show("demo.counter");
  await call();
  assert.match(await outcome(), /ok.*signature: verified/s);
  assert.match(await response(), /"count": 1|count: 1/);
});

await step("curl makes the same call", async () => {
  const command = await text("main pre[aria-label='The same call in another language']");
  assert.match(command, /x-session-id/);
  assert.deepEqual(JSON.parse(execFileSync("sh", ["-c", `${command} -s`], { encoding: "utf8" })), { result: { count: 2 } });
});

await step("a changed answer is refused", async () => {
  await page.route("**/demo/counter", async (route) => {
    const genuine = await route.fetch();
    await route.fulfill({ response: genuine, body: '{"result":{"count":1000}}' });
  });
  await call();
  await page.locator("main .outcome .bad", { hasText: "WRONG" }).waitFor();
  await page.unroute("**/demo/counter");
});

if (screenshots) {
  mkdirSync(screenshots, { recursive: true });
  await show("demo.hello");
  await page.reload();
  await page.locator("main h2").waitFor();
  await page.locator("[data-path='/name'] input").fill("world");
  await page.locator("[data-path='/n'] input").fill("41");
  await call();
  for (const [name, width, colorScheme] of [["wide-light", 1280, "light"], ["wide-dark", 1280, "dark"], ["phone-light", 390, "light"], ["phone-dark", 390, "dark"]]) {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
    await page.evaluate(() => scrollTo(0, 0));
    await page.screenshot({ path: join(screenshots, `page-${name}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1280, height: 900 });
}

await step("a stream is shown as it comes, and stopped", async () => {
  await show("demo.countdown");
  await page.locator("[data-path='/from'] input").fill("600");
  await page.getByRole("button", { name: "Call", exact: true }).click();
  await page.waitForFunction(() => document.querySelector("main pre[aria-label=Response]").textContent.startsWith("600\n599\n"));
  await page.getByRole("button", { name: "Stop" }).click();
  await page.locator("main .outcome b", { hasText: "stopped" }).waitFor();
});

await step("a session that has ended elsewhere is forgotten", async () => {
  const { session_id, user_id } = JSON.parse(await page.evaluate(() => sessionStorage.getItem("session")));
  const { createHmac } = await import("node:crypto");
  const headers = { "x-session-id": session_id, "x-hmac": createHmac("sha1", user_id).update("{}").digest("hex") };
  assert.equal((await fetch(`${url}/account/logout`, { method: "POST", headers, body: "{}" })).status, 200);
  await show("demo.counter");
  await call();
  assert.match(await outcome(), /error 1007/);
  await page.getByRole("button", { name: "Log in" }).first().waitFor();
  await logIn("#do-login", "alice");
  await page.getByRole("button", { name: "Log out alice" }).click();
  await page.getByRole("button", { name: "Log in" }).first().waitFor();
});

await step("every method fits into 390 px, light and dark", async () => {
  await page.setViewportSize({ width: 390, height: 844 });
  for (const method of await page.locator("nav a").evaluateAll((links) => links.map((link) => link.hash.slice(1)))) {
    await show(method);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, `${method} is ${width} px wide`);
    }
    const unlabelled = await page.locator("main input, main textarea, main select").evaluateAll((fields) =>
      fields.filter((field) => !field.labels?.length && !field.getAttribute("aria-label")).map((field) => field.outerHTML));
    assert.deepEqual(unlabelled, [], method);
  }
  await page.getByRole("button", { name: "Methods" }).click();
  await page.locator("nav a", { hasText: "hello" }).click();
  await page.locator("main h2", { hasText: "demo.hello" }).waitFor();
  await page.setViewportSize({ width: 1280, height: 900 });
});

const file = join(methods, "page_test.rs");
const source = (member, type) => `//! Greets the page.
use method_sdk::prelude::*;
#[derive(Deserialize)]
pub struct Params { /// Said by the method.
    pub ${member}: ${type} }
pub async fn invoke(_: &mut Handler, params: Params) -> Result<${type}> { Ok(params.${member}) }
`;
try {
  await step("a saved file shows up without a reload", async () => {
    await page.evaluate(() => { window.isTheSamePage = true; });
    await show("demo.echo");
    await call();
    writeFileSync(file, source("word", "String"));
    await page.locator("nav a", { hasText: "page_test" }).waitFor();
    assert.match(await outcome(), /ok/, "the answer of another method stays");
    await page.locator("nav a", { hasText: "page_test" }).click();
    await page.locator("[data-path='/word'] input").fill("hi");
    writeFileSync(file, source("word", "Option<String>"));
    await page.locator("td.type", { hasText: "string or null" }).first().waitFor();
    assert.equal(await page.locator("[data-path='/word'] input").inputValue(), "hi", "what was typed stays");
    assert.ok(await page.evaluate(() => window.isTheSamePage));
  });

  await step("what does not compile is shown in rustc's words", async () => {
    writeFileSync(file, source("word", "Words"));
    await page.locator(".failure pre", { hasText: "cannot find type `Words`" }).waitFor();
    await page.locator("nav a", { hasText: "page_test" }).locator(".bad").waitFor();
    writeFileSync(file, source("word", "u8"));
    await page.locator(".failure").waitFor({ state: "detached" });
    await page.locator("td.type", { hasText: "integer 0 to 255" }).first().waitFor();
  });
} finally {
  rmSync(file, { force: true });
}
await browser.close();
