// node node.mjs DIRECTORY URL: runs the compiled client.ts in DIRECTORY in Node, and in Chromium.
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [directory, url] = process.argv.slice(2);
const { run } = await import(pathToFileURL(resolve(directory, "client.js")).href);
for (const step of await run(url, "node")) console.log(`node: ${step}`);

const { chromium } = createRequire(new URL("../node/package.json", import.meta.url))("playwright-core");
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
const page = await browser.newPage();
// A page of the same origin, with the modules as tsc has written them.
await page.route("**/client/*", async (route) => {
  const file = new URL(route.request().url()).pathname.split("/").pop();
  const isPage = file === "index.html";
  await route.fulfill({ contentType: isPage ? "text/html" : "text/javascript", body: isPage ? "<!doctype html>" : await readFile(join(directory, file)) });
});
await page.goto(`${url}/client/index.html`);
const steps = await page.evaluate(async (url) => (await import("/client/client.js")).run(url, "chromium"), url);
for (const step of steps) console.log(`chromium: ${step}`);
await browser.close();
