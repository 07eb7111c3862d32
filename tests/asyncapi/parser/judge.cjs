// Reads an AsyncAPI document from standard input; prints every complaint of the official parser as JSON.
const { Parser } = require("@asyncapi/parser");
const { readFileSync } = require("node:fs");

new Parser().parse(readFileSync(0, "utf8")).then(({ document, diagnostics }) => {
  const complaints = diagnostics.map(({ code, message, path, severity }) => ({ code, message, path, severity }));
  const operations = document ? document.operations().all().map((operation) => operation.id()) : [];
  console.log(JSON.stringify({ accepted: Boolean(document), complaints, operations }));
});
