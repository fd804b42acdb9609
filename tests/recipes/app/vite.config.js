import { svelte } from "@sveltejs/vite-plugin-svelte";
import vue from "@vitejs/plugin-vue";

// Beside what Next.js has written to `out`. Development builds, because those warn and check the most.
export default {
  plugins: [vue(), svelte()],
  base: "./",
  build: {
    outDir: "out",
    emptyOutDir: false,
    minify: false,
    rolldownOptions: { input: ["vue.html", "svelte.html", "query.html", "redux.html"] },
  },
};
