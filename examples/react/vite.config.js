// Needed only because the package is a link to the folder it is made in.
export default {
  server: { fs: { allow: ["../.."] } },
  resolve: { dedupe: ["react", "react-dom"] }, // it takes this application's React
  build: { rolldownOptions: { checks: { moduleLevelDirective: false } } }, // "use client" is for others
};
