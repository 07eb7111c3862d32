// search.cjs SITE QUERY: what the search of a built site finds, best first, as JSON: the theme's own worker is asked.
const fs = require("fs");
const path = require("path");
const vm = require("vm");
const [site, query] = process.argv.slice(2);
const workers = path.join(site, "assets/javascripts/workers");
const script = fs.readdirSync(workers).find((name) => /^search\..*\.js$/.test(name));
const READY = 1, QUERY = 2, RESULT = 3;
const listeners = [];
const worker = {
    addEventListener: (_, listener) => listeners.push(listener),
    location: { href: "file:///site/" },
    postMessage: (message) => {
        if (message.type === READY) ask({ type: QUERY, data: query });
        if (message.type === RESULT) {
            const found = message.data.items.map((page) => page.map(({ location, title }) => ({ location, title })));
            console.log(JSON.stringify(found));
        }
    },
    console, setTimeout, clearTimeout, URL, performance,
};
worker.self = worker.globalThis = worker;
const ask = (data) => listeners.forEach((listener) => listener({ data }));
vm.runInNewContext(fs.readFileSync(path.join(workers, script), "utf8"), worker);
const index = JSON.parse(fs.readFileSync(path.join(site, "search/search_index.json"), "utf8"));
ask({ type: 0, data: { ...index, options: { suggest: false } } });
