// A page that any server of files can serve, built by the bundler that follows links.
export default { output: "export", turbopack: { root: import.meta.dirname } };
