// Needed only because the package is a link to its folder in this repository.
export default {
  server: { fs: { allow: ["../.."] } },
  resolve: { dedupe: ["react", "react-dom"] }, // use the React of this application
  build: { rolldownOptions: { checks: { moduleLevelDirective: false } } }, // "use client" concerns other bundlers
};
