"""The page in a real Chromium: what is shown, by mouse and by keys, and what changes without a reload."""

from __future__ import annotations

from typing import Any, Callable, Iterator

import pytest

from fk_kazoo.console.answers import PAGE
from fk_kazoo.console.server import Console

pytestmark = pytest.mark.slow
pytest.importorskip("selenium", reason="selenium drives the browser: pip install '.[test]'")

from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

from . import browser  # noqa: E402

Open = Callable[[Console], "Page"]


class Page:
    """The page, as somebody sees it."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def until(self, condition: Callable[[], Any], why: str = "") -> Any:
        """What it is once it is true."""
        return WebDriverWait(self.driver, 20, 0.05, [Exception]).until(lambda _: condition(), why)

    def text(self, selector: str) -> str:
        """What is to be read there."""
        return str(self.driver.find_element(By.CSS_SELECTOR, selector).text)

    def click(self, selector: str) -> None:
        self.driver.find_element(By.CSS_SELECTOR, selector).click()

    def keys(self, *keys: str) -> None:
        """Typed to whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def rows(self) -> "list[str]":
        """Paths of the tree, from the top."""
        script = "return [...document.querySelectorAll('#tree [role=treeitem]')].map((one) => one.dataset.path)"
        found: "list[str]" = self.driver.execute_script(script)
        return found

    def go(self, path: str) -> None:
        self.keys("/")
        self.keys(path, Keys.ENTER)
        self.until(lambda: self.text("#name") == path)

    def complaints(self) -> "list[str]":
        """Of the browser's console: scripts that failed, what the policy forbade."""
        return [one["message"] for one in self.driver.get_log("browser") if "favicon" not in one["message"]]


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    why = browser.unavailable()
    if why:
        pytest.skip(why)
    with browser.chromium() as one:
        yield one


@pytest.fixture
def opened(driver: Any) -> Iterator[Open]:
    def call(console: Console) -> Page:
        driver.get("about:blank")
        browser.dress(driver, "light", browser.WIDE)
        driver.get(console.link)
        page = Page(driver)
        page.until(lambda: page.text("#state") == "connected" and page.text("#name") == "/")
        return page

    yield call
    driver.get("about:blank")  # else its stream of changes goes on


def test_a_tree_and_its_nodes(opened: Open, console: Console, client: Any) -> None:
    client.create("/app/bin", b"\xff\x00A", [*client.get_acls("/")[0]])
    client.create("/app/<b>bold", b"<script>document.title = 'owned'</script>")
    page = opened(console)
    assert page.rows() == ["/", "/app", "/zookeeper"]
    page.keys(Keys.ARROW_DOWN)
    page.until(lambda: page.text("#name") == "/app")
    page.keys(Keys.ARROW_RIGHT)
    page.until(lambda: page.rows()[1:5] == ["/app", "/app/<b>bold", "/app/bin", "/app/config"])
    page.click('[data-path="/app/config"] .label')
    page.until(lambda: page.text("#data") == '{"debug": true}')
    page.click('[data-as="json"]')
    assert page.text("#data") == '{\n  "debug": true\n}'
    page.click('[data-as="hex"]')
    assert page.text("#data").startswith("000000  7b 22 64 65")
    page.click('[data-as="text"]')
    page.go("/app/bin")
    assert page.text("#data").startswith("000000  ff 00 41"), "what is no text is shown as bytes"
    assert "world:anyone:cdrwa" in page.text("#acl") and "0x" in page.text("#stat")
    page.go("/app/<b>bold")
    assert "<script>" in page.text("#data") and "owned" not in page.driver.title
    assert not page.driver.find_elements(By.CSS_SELECTOR, "#tree b")
    page.keys(Keys.ARROW_LEFT)
    page.until(lambda: page.text("#name") == "/app")
    assert not page.driver.find_element(By.ID, "edit").is_displayed(), "read-only"
    page.keys("/")
    page.keys("/none", Keys.ENTER)
    page.until(lambda: "no such node" in page.text("#error"))
    (complaint,) = page.complaints()
    assert "404" in complaint, "and no script has failed, and nothing was forbidden"


def test_changes_appear_without_reload(opened: Open, console: Console, client: Any) -> None:
    page = opened(console)
    page.go("/app/config")
    client.set("/app/config", b"new")
    page.until(lambda: page.text("#data") == "new" and "version 1" in page.text("#size"))
    client.create("/app/more", b"")
    page.until(lambda: "/app/more" in page.rows())
    client.delete("/app/more")
    page.until(lambda: "/app/more" not in page.rows())
    client.create("/app/config/below", b"")
    page.until(lambda: page.text('[data-path="/app/config"] .count') == "(1)")
    client.delete("/app/config/below")
    client.delete("/app/config")
    page.until(lambda: "/app/config was deleted" in page.text("#error"))


def test_an_edit(opened: Open, writable: Console, client: Any) -> None:
    """With the keyboard; refused if somebody changed it meanwhile, and what was written stays there to be saved."""
    page = opened(writable)
    page.go("/app/config")
    page.keys("e")
    page.keys(Keys.CONTROL, "a")
    page.keys("mine", Keys.CONTROL, Keys.ENTER)
    page.until(lambda: page.text("#data") == "mine")
    assert client.get("/app/config")[0] == b"mine"
    page.keys("e")
    client.set("/app/config", b"theirs")
    page.until(lambda: "will be refused" in page.text("#editing"))
    page.click("#save")
    page.until(lambda: "somebody changed it meanwhile" in page.text("#error"))
    assert client.get("/app/config")[0] == b"theirs"
    assert page.driver.find_element(By.ID, "text").get_attribute("value") == "mine"


def test_sessions_locks_and_queues(opened: Open, console: Console, client: Any) -> None:
    assert client.Lock("/locks/a", "me").acquire()
    client.Queue("/queue").put(b"1")
    page = opened(console)
    page.keys("2")
    page.until(lambda: "this machine" in page.text("#other") and "/locks/a/" in page.text("#other"))
    page.keys("3")
    page.until(lambda: "holds" in page.text("#other") and "/queue" in page.text("#other"))
    page.driver.find_element(By.XPATH, "//button[text()='/locks/a']").click()
    page.until(lambda: page.text("#name") == "/locks/a")


def test_many_children_are_paged(opened: Open, console: Console, client: Any) -> None:
    for answer in [client.create_async("/app/n%04d" % number, b"") for number in range(2 * PAGE)]:
        answer.get()
    page = opened(console)
    page.click('[data-path="/app"] .twist')
    page.until(lambda: len(page.rows()) == 3 + PAGE)
    page.click(".more button")
    page.until(lambda: len(page.rows()) == 3 + 2 * PAGE)
    page.click(".more button")
    page.until(lambda: len(page.rows()) == 3 + 2 * PAGE + 1 and not page.driver.find_elements(By.CSS_SELECTOR, ".more"))
    page.driver.refresh()
    page.until(lambda: page.text("#state") == "connected")
    page.go("/app/n0399")  # which is on no page that is shown


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_and_narrow_windows(opened: Open, console: Console, scheme: str) -> None:
    page = opened(console)
    script = "return getComputedStyle(document.body).backgroundColor"
    browser.dress(page.driver, scheme, browser.NARROW)
    assert page.driver.execute_script(script) == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(22, 24, 28)")
    width = page.driver.execute_script("return document.documentElement.scrollWidth")
    assert width <= browser.NARROW[0], "nothing has to be scrolled sideways"
    tree, node = (page.driver.find_element(By.ID, one).rect for one in ("left", "right"))
    assert node["y"] >= tree["y"] + tree["height"] - 1, "one below the other"


def test_another_site_gets_nothing(driver: Any, console: Console) -> None:
    """A page from elsewhere that knows the port, and even the link, can neither ask nor show it in a frame."""
    driver.get("data:text/html,<title>elsewhere</title>")
    script = (
        "const done = arguments[1]; fetch(arguments[0]).then((a) => done('status ' + a.status), () => done('refused'))"
    )
    assert driver.execute_async_script(script, console.link + "api/place") == "refused"
