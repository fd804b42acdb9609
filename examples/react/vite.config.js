// All but `test` is needed only because the package is a link to its folder in this repository.
export default {
  test: { environment: "jsdom", globals: true },
  server: { fs: { allow: ["../.."] } },
  resolve: { dedupe: ["react", "react-dom"] }, // use the React of this application
  build: { rolldownOptions: { checks: { moduleLevelDirective: false } } }, // "use client" concerns other bundlers
};
