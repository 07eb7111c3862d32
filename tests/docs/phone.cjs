// phone.cjs SITE FOLDER: every page of a built site on a phone, as pictures; fails where something is wider than it.
const { chromium } = require("playwright-core");
const fs = require("fs");
const path = require("path");
const { pathToFileURL } = require("url");
const [site, folder] = process.argv.slice(2);
const WIDTH = 390;
const HEIGHT = 844;
// A picture is that high at most, so that it can be looked at.
const SLICE = 4000;

// Runs in the page: what is wider than the phone, what is cut off at the side, words of code that are broken.
// A hash is longer than any line.
const faults = (width) => {
    const found = [];
    const wide = document.documentElement.scrollWidth;
    if (wide > width) found.push(`the page is ${wide} pixels wide`);
    const article = document.querySelector("article") || document.body;
    const shown = (element) => element.checkVisibility() && element.getClientRects().length > 0;
    for (const each of article.querySelectorAll("*")) {
        if (!shown(each) || each.closest("nav, svg, .headerlink, .md-clipboard")) continue;
        const words = each.textContent.trim().slice(0, 60);
        const box = each.getBoundingClientRect();
        if (box.right > width + 1 || box.left < -1) found.push(`<${each.tagName}> leaves the page: ${words}`);
        const rolls = ["auto", "scroll", "hidden"].includes(getComputedStyle(each).overflowX);
        if (rolls && each.scrollWidth > each.clientWidth + 1) found.push(`<${each.tagName}> must be scrolled: ${words}`);
    }
    for (const code of article.querySelectorAll("code")) {
        if (!shown(code)) continue;
        const walk = document.createTreeWalker(code, NodeFilter.SHOW_TEXT);
        for (let text = walk.nextNode(); text; text = walk.nextNode()) {
            for (const word of text.data.matchAll(/(?<![A-Za-z0-9])[A-Za-z0-9]{1,30}(?![A-Za-z0-9])/g)) {
                const range = document.createRange();
                range.setStart(text, word.index);
                range.setEnd(text, word.index + word[0].length);
                const lines = new Set([...range.getClientRects()].map((each) => Math.round(each.top)));
                if (lines.size > 1) found.push(`a word is broken: ${word[0]} in ${code.textContent.slice(0, 60)}`);
            }
        }
    }
    return [...new Set(found)];
};

(async () => {
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
    const phone = await browser.newContext({ viewport: { width: WIDTH, height: HEIGHT }, isMobile: true, hasTouch: true });
    const page = await phone.newPage();
    const pages = fs.readdirSync(site, { recursive: true }).filter((name) => name.endsWith(".html") && name !== "404.html");
    let wrong = 0;
    for (const name of pages.sort()) {
        await page.goto(pathToFileURL(path.join(site, name)).href);
        const found = await page.evaluate(faults, WIDTH);
        for (const each of found) console.error(`${name}: ${each}`);
        wrong += found.length;
        const height = await page.evaluate(() => document.documentElement.scrollHeight);
        const stem = name.replace(/\.html$/, "").replaceAll(path.sep, "-");
        for (let top = 0, number = 1; top < height; top += SLICE, number++) {
            const clip = { x: 0, y: top, width: WIDTH, height: Math.min(SLICE, height - top) };
            await page.screenshot({ path: path.join(folder, `${stem}-${number}.png`), clip, fullPage: true });
        }
    }
    await browser.close();
    if (!pages.length) throw new Error(`there is no page in ${site}`);
    if (wrong) throw new Error(`${wrong} places do not fit on a phone`);
})().catch((error) => {
    console.error(error.message);
    process.exit(1);
});
