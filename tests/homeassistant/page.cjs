// page.cjs ADDRESS DEVICE PICTURE: a device's page in Home Assistant as a browser shows it. The tokens come on stdin.
const { chromium } = require("playwright-core");
const [address, device, picture] = process.argv.slice(2);
const tokens = require("fs").readFileSync(0, "utf8");

(async () => {
    const browser = await chromium.launch({ executablePath: "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
    const page = await browser.newPage({ viewport: { width: 1380, height: 1200 } });
    // The page finds itself logged in.
    await page.addInitScript((kept) => localStorage.setItem("hassTokens", kept), tokens);
    await page.goto(`${address}/config/devices/device/${device}`, { timeout: 120000 });
    await page.waitForFunction(() => document.querySelector("home-assistant")?.hass?.states, null, { timeout: 120000 });
    await page.getByText("Last user created").first().waitFor({ timeout: 120000 });
    // Ten entities, and each has its icon.
    await page.locator("ha-state-icon svg path").nth(9).waitFor({ state: "attached", timeout: 120000 });
    await page.waitForLoadState("networkidle");
    await page.screenshot({ path: picture });
    await browser.close();
})();
