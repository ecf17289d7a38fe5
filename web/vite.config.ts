// How the page is built: one HTML file, one script, one style sheet, all from the same origin. Nothing is inlined,
// because the server's content security policy allows neither inline scripts nor style attributes.
// `FOREBAY_URL` names the server that `npm run dev` asks; by default that is the mock.
import { loadEnv } from "vite";
import { defineConfig } from "vitest/config";

export default defineConfig(({ mode }) => {
  const server = loadEnv(mode, ".", "FOREBAY_URL")["FOREBAY_URL"] ?? "http://127.0.0.1:25180";
  return {
    esbuild: { jsx: "automatic" as const, jsxImportSource: "preact" },
    build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
    server: { host: "127.0.0.1", port: 25173, proxy: { "/api": server, "/health": server } },
    test: { include: ["tests/**/*.test.ts"], environment: "node" },
  };
});
