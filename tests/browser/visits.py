"""Every page in every state that it shows, and the making of those states. Adding a page means adding a visit."""

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page
from served import NewContext, Site

DEAD = "x" * 43
MACHINES = frozenset(
    {"/api/openapi.json", "/doctor/papers/{id}", "/healthz", "/log/checkpoint", "/log/key", "/readyz"}
    | {"/o/{token}/receipt.json", "/o/{token}/receipt.pdf", "/fhir/metadata", "/fhir/.well-known/smart-configuration"}
)
"""Files, and answers for machines: no title, no heading."""


@dataclass(frozen=True, slots=True)
class Visit:
    """`route`: as in the route table (or a page of the demo); `state`: names the link or id that fills its hole;
    `query`: asked besides the language; `who`: who is signed in; `press`: what is pressed before the page is looked at;
    `reader`: for whom a notice is."""

    route: str
    state: str = ""
    who: str = ""
    status: int = 200
    press: str = ""
    reader: str = ""
    query: str = ""

    def path(self, known: dict[str, str], language: str) -> str:
        path = self.route
        for hole in ("{token}", "{id}"):
            path = path.replace(hole, known.get(self.state, self.state))
        path = path.replace("{reader}", self.reader)
        return f"{path}?lang={language}{self.query}"

    def __str__(self) -> str:
        return " ".join(filter(None, [self.route, self.state, self.reader, self.who, str(self.status), self.query]))


LINKS = ("unanswered", "yes", "no", "no_observatory", "no_part", "taken_back", "not_mine", "child", "child_no")

PATIENT = (
    *(Visit("/o/{token}", state) for state in LINKS),
    Visit("/o/{token}", DEAD, status=404),
    *(Visit("/o/{token}/part", state) for state in ("unanswered", "no", "no_observatory", "no_part", "child")),
    Visit("/o/{token}/part", "unanswered", status=422, press="main form button"),
    *(Visit("/o/{token}/withdraw", state) for state in ("no", "no_observatory", "no_part")),
    *(
        Visit("/o/{token}/receipt", state)
        for state in ("no", "no_observatory", "no_part", "taken_back", "not_mine", "child_no")
    ),
    Visit("/o/{token}/kept", "yes"),
    Visit("/o/{token}/receipt.json", "no"),
    Visit("/o/{token}/receipt.pdf", "no"),
    *(Visit("/o/{token}/uses", state) for state in ("unanswered", "no", "child")),
    *(Visit("/o/{token}/read/{reader}", state, reader="easy") for state in ("unanswered", "no")),
    *(Visit("/o/{token}/read/{reader}", "child", reader=reader) for reader in ("easy", "child", "teenager")),
    Visit("/o/{token}/read/{reader}", "unanswered", reader="nobody", status=404),
    *(Visit("/o/{token}/rights", state) for state in ("unanswered", "asked", "child")),
)
PUBLIC = (
    *(Visit(route) for route in ("/", "/transparency", "/legal", "/login", "/login/doctor", "/login/staff")),
    Visit("/join"),
    Visit("/join/{token}", "invitation"),
    Visit("/join/{token}", DEAD, status=404),
    Visit("/code"),
    Visit("/code", status=422, press="main form button"),
    Visit("/object"),
    Visit("/object", status=422, press="main form button"),
    Visit("/object/paper"),
    Visit("/object/{id}", "form"),
    Visit("/object/{id}", "unknown", status=404),
    Visit("/login/callback", status=400),
    Visit("/api/openapi.json"),
    Visit("/fhir/metadata"),
    Visit("/fhir/.well-known/smart-configuration"),
    Visit("/healthz"),
    Visit("/log/checkpoint"),
    Visit("/log/key"),
    Visit("/metrics", status=401),
    Visit("/readyz"),
    Visit("/nowhere", status=404),
    Visit("/logout", status=405),
    Visit("/demo/mail/"),
    Visit("/demo/mail/{id}", "000001"),
)
DOCTOR = (
    *(Visit("/doctor", who=who) for who in ("newcomer", "identified", "signed", "active", "paused", "left")),
    Visit("/doctor/enrol", who="newcomer"),
    Visit("/doctor/enrol", who="several_sites"),
    Visit("/doctor/enrol", who="several_sites", status=422, press="main form button"),
    *(Visit("/doctor/agreement", who=who) for who in ("identified", "signed", "active", "left")),
    Visit("/doctor/agreement", who="identified", status=422, press="main form button"),
    Visit("/doctor/agreement", who="newcomer"),
    *(Visit("/doctor/signed", who=who) for who in ("signed", "active")),
    *(Visit("/doctor/patients", who=who) for who in ("signed", "active")),
    *(Visit("/doctor/patients", who="active", query=f"&state={state}") for state in ("waiting", "out")),
    Visit("/doctor/objections/{id}", "told_doctor", "active"),
    Visit("/doctor/objections/{id}", "unknown", "active", status=404),
    *(Visit("/doctor/notices/{id}", state, "active") for state in ("handing", "handed")),
    Visit("/doctor/notices/{id}", "unknown", "active", status=404),
    Visit("/doctor/software", who="active"),
    Visit("/doctor/software", who="active", status=422, press='main form[action*="/key"] button'),
    *(Visit("/doctor/leave", who=who) for who in ("active", "paused", "left")),
    *(Visit("/doctor/papers", who=who) for who in ("identified", "active", "left")),
    Visit("/doctor/papers", who="active", status=422, press="main form button"),
    *(
        Visit("/doctor/papers/{id}", name, "active")
        for name in ("poster-a4.pdf", "leaflet.pdf", "dpia.pdf", "dpia.rtf")
    ),
    *(Visit("/doctor/permits", who=who) for who in ("signed", "active")),
    Visit("/doctor", who="operator", status=403),
)
DESK = (
    *(
        Visit(f"/desk{page}", who=who)
        for page in (
            "",
            "/log",
            "/enrolments",
            "/texts",
            "/campaigns",
            "/letters",
            "/drafts",
            "/studies",
            "/releases",
            "/objections",
            "/programs",
            "/outages",
            "/doubts",
            "/requests",
        )
        for who in ("operator", "dpo")
    ),
    Visit("/desk/campaigns/plan", who="operator", query="&practice=practice-01&observatory=demo"),
    Visit("/desk/campaigns/plan", who="operator", status=422),
    Visit("/desk/enrolments", who="operator", status=422, press='main form[action*="/verify"] button'),
    Visit("/desk/programs", who="operator", status=422, press='main form[action*="/programs"] button'),
    Visit("/desk/enrolments", who="operator", status=422, press='main form[action*="/invitations"] button'),
    Visit("/desk/objections", who="operator", status=422, press='main form[action*="/objections"] button'),
    Visit("/desk/objections", who="dpo", press='main form[action*="/open"] button'),
    Visit("/desk/doubts", who="dpo", press='main form[action*="/open"] button'),
    *(Visit("/desk/releases/{id}", state, who="operator") for state in ("prepared", "approved", "sealed")),
    *(Visit("/desk/releases/{id}", state, who="dpo") for state in ("prepared", "sealed")),
    Visit("/desk/releases/{id}", "unknown", who="dpo", status=404),
    Visit("/recipient", who="recipient"),
    Visit("/desk", who="recipient", status=403),
)
VISITS = (*PUBLIC, *PATIENT, *DOCTOR, *DESK)


def say_no(page: Page, token: str) -> None:
    page.goto(f"/o/{token}")
    page.locator(".answer").first.click()
    page.wait_for_url("**/receipt*")


def say_no_to(page: Page, token: str, part: str) -> None:
    page.goto(f"/o/{token}/part")
    page.locator(f"input[{part}]").check()
    page.locator("main form button").click()
    page.wait_for_url("**/receipt*")


def links(site: Site, page: Page) -> dict[str, str]:
    """A link in each state that a patient's page has."""
    one, other = site.twice_told()
    known = {state: site.unanswered().token for state in LINKS}
    known |= {"not_mine": other.token, "child": site.unanswered("parent").token}
    known["child_no"] = site.unanswered("parent").token
    page.goto(f"/o/{known['yes']}")
    page.locator(".answer").last.click()
    page.wait_for_url("**/kept*")
    for token in (known["no"], known["taken_back"], known["child_no"], one.token):
        say_no(page, token)
    known["asked"] = site.unanswered().token
    page.goto(f"/o/{known['asked']}/rights")
    page.locator("main form button").first.click()
    page.wait_for_url("**/rights*")
    say_no_to(page, known["no_observatory"], 'value="observatory"')
    say_no_to(page, known["no_part"], 'value="practice"')
    say_no_to(page, known["no_part"], 'id^="study-"')
    page.goto(f"/o/{known['taken_back']}/withdraw")
    page.locator("button.answer").click()
    page.wait_for_url("**/receipt*")
    return known


def say_no_by_form(page: Page) -> str:
    """The number of a no that came by the form, of somebody whom no register knows."""
    page.goto("/object")
    page.locator('input[value="self"]').check()
    for name, text in {"family_name": "Zorglub", "given_names": "Camille", "birth": "17/05/1960"}.items():
        page.locator(f"#{name}").fill(text)
    page.locator("main form button").click()
    page.wait_for_url("**/object/*")
    return page.url.rpartition("/")[2].partition("?")[0]


def told_no(page: Page) -> str:
    """The number of a no that the doctor's first patient told her."""
    page.goto("/doctor/patients")
    page.locator('form[action*="/patients/object"] button').first.click()
    page.wait_for_url("**/doctor/objections/*")
    return page.url.rpartition("/")[2].partition("?")[0]


def hand_over(page: Page, place: int) -> str:
    """The number of a notice that the doctor hands to a patient who has none."""
    page.goto("/doctor/patients")
    page.locator('form[action*="/patients/hand-over"] button').nth(place).click()
    page.wait_for_url("**/doctor/notices/*")
    return page.url.rpartition("/")[2].partition("?")[0]


def doctors(site: Site) -> dict[str, tuple[str, str]]:
    """Who signs in, by the name that visits use; `signed` and `paused` still have to become so."""
    parts = {"identified": "not_signed", "active": "full", "paused": "full", "left": "leaves"}
    found = {name: site.doctor(part) for name, part in parts.items()}
    found |= {"newcomer": site.newcomer(), "signed": site.newcomer(), "several_sites": site.newcomer(several=True)}
    return {name: ("doctor", person) for name, person in found.items()}


def enrol(page: Page) -> None:
    """From the dashboard to a signed agreement."""
    page.locator('main a[href^="/doctor/agreement"]').click()
    page.locator("#read-yes").check()
    page.locator("main form button").click()
    page.wait_for_url("**/doctor/signed")


def invite(site: Site, page: Page, address: str) -> str:
    """The operator invites; the token of the link that was mailed."""
    page.goto("/desk/enrolments")
    page.locator("#email").fill(address)
    page.locator('form[action^="/desk/invitations"] button').first.click()
    page.wait_for_url("**/desk/enrolments")
    return site.mailed(address, r"/join/([\w-]{43})")


def prepare(page: Page) -> str:
    """The operator prepares a release; its id."""
    page.goto("/desk/releases")
    page.locator("main form button").click()
    page.wait_for_url("**/desk/releases/*")
    return page.url.rpartition("/")[2]


def approve(page: Page, release_id: str) -> None:
    page.goto(f"/desk/releases/{release_id}")
    page.locator('form[action$="/approve"] button').click()
    page.locator('form[action$="/approve"]').wait_for(state="detached")


def open_contact(page: Page) -> None:
    """The DPO opens what was said of a person: somebody else then reads that in the log."""
    page.goto("/desk/objections")
    page.locator('main form[action*="/open"] button').first.click()
    page.locator("h1").wait_for()


def states(site: Site, new: NewContext) -> tuple[dict[str, str], dict[str, Any]]:
    """What fills the holes of the routes, and the cookies of everybody who is signed in."""
    pages, cookies = {}, {}
    staff = {role: ("staff", f"demo-{role}") for role in ("operator", "dpo", "recipient")}
    for name, (way, person) in {**doctors(site), **staff}.items():
        pages[name] = new().new_page()
        site.sign_in(pages[name], way, person)
    enrol(pages["signed"])
    pages["paused"].goto("/doctor/leave")
    pages["paused"].locator('form[action^="/doctor/pause"] button').click()
    pages["paused"].wait_for_url("**/doctor")
    known = {**links(site, new().new_page()), "invitation": invite(site, pages["operator"], "dr.visite@example.org")}
    known |= {"sealed": site.story["release"]["id"]}
    known["told_doctor"] = told_no(pages["active"])
    known |= {state: hand_over(pages["active"], place) for place, state in enumerate(("handing", "handed"))}
    pages["active"].locator('form[action*="/confirm"] button').click()
    pages["active"].locator('form[action*="/undo"]').wait_for()
    known["form"] = say_no_by_form(new().new_page())
    open_contact(pages["dpo"])
    known |= {state: prepare(pages["operator"]) for state in ("approved", "prepared")}
    approve(pages["dpo"], known["approved"])
    for name, page in pages.items():
        cookies[name] = page.context.storage_state()
    return known, cookies
