// SPDX-License-Identifier: GPL-3.0-or-later
// Loads a GLB file with three.js in headless Chromium and prints, as JSON, what was loaded and pictures of it.
//
//   node shoot.mjs head.glb '{"size": 256, "metres": 0.4, "middle": [0, 0, 0], "looks": {"rest": {}}}'
//
// PORTRAIT_HEAD_NODE_MODULES is the node_modules folder with three and playwright-core; PORTRAIT_HEAD_CHROMIUM the
// browser.
import { createServer } from "node:http";
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const [glb, wishes] = [process.argv[2], JSON.parse(process.argv[3])];
const modules = process.env.PORTRAIT_HEAD_NODE_MODULES;
const { chromium } = createRequire(pathToFileURL(modules + "/"))("playwright-core");
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".glb": "model/gltf-binary" };

const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://localhost").pathname));
  const file =
    path === "/head.glb"
      ? glb
      : path.startsWith("/modules/")
        ? join(modules, path.slice("/modules".length))
        : join(dirname(fileURLToPath(import.meta.url)), path);
  response.setHeader("Content-Type", TYPES[extname(file)] ?? "application/octet-stream");
  createReadStream(file)
    .on("error", () => response.writeHead(404).end())
    .pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await chromium.launch({
  executablePath: process.env.PORTRAIT_HEAD_CHROMIUM,
  args: [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
  ],
});
const complaints = [];
try {
  const page = await browser.newPage();
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && complaints.push(message.text()));
  await page.goto(`http://127.0.0.1:${server.address().port}/page.html`);
  await page.waitForFunction(() => window.load);
  const loaded = await page.evaluate((w) => window.load(w.size, w.metres, w.middle), wishes);
  const pictures = {};
  for (const [name, weights] of Object.entries(wishes.looks)) {
    pictures[name] = await page.evaluate((w) => window.show(w), weights);
  }
  console.log(JSON.stringify({ loaded, pictures, complaints }));
} finally {
  await browser.close();
  server.close();
}
