// SPDX-License-Identifier: GPL-3.0-or-later
// Prints the report of Khronos' validator on the file named: node validate.mjs head.glb
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// Packages may lie anywhere; an import would only look beside this file.
const modules = createRequire(pathToFileURL(process.env.PORTRAIT_HEAD_NODE_MODULES + "/"));
const validator = modules("gltf-validator");
const report = await validator.validateBytes(new Uint8Array(readFileSync(process.argv[2])), { maxIssues: 1000 });
console.log(JSON.stringify(report));
