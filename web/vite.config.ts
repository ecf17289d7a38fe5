// How the page is built: index.html, and everything else under assets/ with a hash in its name, as the server hands it
// out. Nothing is inlined, because the content security policy allows neither inline scripts nor style attributes.
// `FOREBAY_URL` names the server that `npm run dev` asks; by default that is the mock.
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

/** The page is drawn when its script has set the theme, not before: no flash of the other one. */
const holdRendering = {
  name: "hold-rendering",
  transformIndexHtml: { order: "post" as const, handler: (html: string) => html.replace('<script type="module"', '<script type="module" blocking="render"') },
};

export default defineConfig(({ mode }) => {
  const server = loadEnv(mode, ".", "FOREBAY_URL")["FOREBAY_URL"] ?? "http://127.0.0.1:25180";
  return {
    plugins: [holdRendering],
    esbuild: { jsx: "automatic" as const, jsxImportSource: "preact" },
    build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
    server: { host: "127.0.0.1", port: 25173, proxy: { "/api": server, "/health": server } },
    test: { include: ["tests/**/*.test.ts"], environment: "node" },
  };
});
