// phone.cjs ADDRESS PICTURE: four pages of the flows on a phone, side by side. A page that is wider than it fails.
const { chromium } = require("playwright-core");
const fs = require("fs");
const [address, picture] = process.argv.slice(2);
const WIDTH = 390;
const HEIGHT = 844;

(async () => {
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
    const phone = await browser.newContext({ viewport: { width: WIDTH, height: HEIGHT }, isMobile: true, hasTouch: true, locale: "es" });
    const page = await phone.newPage();
    const shots = [];
    const shoot = async () => {
        const wide = await page.evaluate(() => document.documentElement.scrollWidth);
        if (wide > WIDTH) throw new Error(`${page.url()} is ${wide} pixels wide`);
        shots.push((await page.screenshot({ fullPage: true })).toString("base64"));
    };

    await page.goto(`${address}/zkbridge/users`);
    await page.selectOption("select", "principal");
    await page.fill("[name=user_id]", "103");
    await page.fill("[name=name]", "Rosa Díaz");
    await page.fill("[name=password]", "4711");
    await page.click("button");
    await page.waitForSelector("#exists");
    if (await page.inputValue("[name=name]") !== "Rosa Díaz") throw new Error("the form has lost its fields");
    await shoot();

    await page.goto(`${address}/zkbridge/list?device=principal`);
    await page.waitForSelector("#list");
    await shoot();

    await page.goto(`${address}/zkbridge/door`);
    await page.selectOption("select", "principal");
    await page.click("button");
    await page.waitForSelector("#question");
    await shoot();

    await page.goto(`${address}/zkbridge/punches`);
    await page.waitForSelector("#punches tr:nth-child(3)");
    if (await page.isVisible("#none")) throw new Error("the page says that there is no punch");
    await shoot();

    const side = await browser.newPage({ viewport: { width: 4 * WIDTH + 100, height: HEIGHT } });
    const images = shots.map((shot) => `<img src="data:image/png;base64,${shot}" width="${WIDTH}">`).join("");
    await side.setContent(`<body style="margin:20px;display:flex;gap:20px;align-items:flex-start;background:#ccc">${images}</body>`);
    fs.writeFileSync(picture, await side.screenshot({ fullPage: true }));
    await browser.close();
})().catch((error) => {
    console.error(error);
    process.exit(1);
});
