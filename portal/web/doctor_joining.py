"""A doctor joins: her site where she has several, the agreement, her signature, its copy. A newer version too."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from portal.flow import enrol as flow
from portal.outside.identity import Site
from portal.records import enrolment_overview, overview
from portal.rules.redline import differences
from portal.rules.refusals import Refused
from portal.rules.words import EnrolmentState as State
from portal.rules.words import Language
from portal.web.doctor_frame import chosen, enrolment, enrolments
from portal.web.frame import browser_language, chosen_language, form, given_day, portal_of, see_other, show, who, words
from portal.web.on_paper import pdf_file, signed_copy

Row = dict[str, Any]

SIGNABLE = frozenset({State.IDENTIFIED, State.SIGNED, State.LEFT})
"""Where an agreement is signed from the beginning; who is active or paused signs a newer version of hers."""

AGAIN = {
    "email": "Cette adresse n’en est pas une. Corrigez-la, ou laissez le champ vide.",
    "until": "Le dernier jour d’un remplacement est aujourd’hui ou plus tard.",
}
"""What is asked again on the same page, and the sentence of each."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an agreement is for: an enrolment of hers, or a site where she has none that she has not left."""

    at: Row | Site
    observatory_id: str

    @property
    def row(self) -> Row | None:
        return self.at if isinstance(self.at, dict) else None


async def enrol_page(request: Request) -> Response:
    return await _choice_of_site(request, missing=False)


async def enrol(request: Request) -> Response:
    """Only a site that the identity provider named at sign-in, or an operator in an invitation, can be chosen."""
    wanted = (await form(request)).get("site", "")
    site = next((each for each in await sites_to_join(request) if each.finess == wanted), None)
    if site is None:
        return await _choice_of_site(request, missing=True)
    house = await _observatory()
    made = await flow.choose_site(portal_of(request).means, who(request).account, site, observatory_id=house["id"])
    return await _at(request, "/doctor/agreement", made.id)


async def agreement(request: Request) -> Response:
    """Of the site in the address, else of her enrolment, else of the one site where she can join."""
    place = await _place(request, request.query_params.get("site"))
    return see_other(request, "/doctor/enrol") if place is None else await _agreement(request, place)


async def sign(request: Request) -> Response:
    """Signs the text that was shown: its id and hash come back with the form; the site, when that is her first step."""
    given = await form(request)
    place = await _place(request, given.get("site"))
    if place is None:
        raise Refused("not_enrolled", "choose a practice first", status=409)
    if given.get("read") != "yes":
        return await _agreement(request, place, wrong="read", given=given)
    try:
        signing = _signing(request, given)
        means, account = portal_of(request).means, who(request).account
        if isinstance(place.at, Site):
            made = await flow.sign_for_site(means, account, place.at, signing, observatory_id=place.observatory_id)
        else:
            made = await flow.sign(means, account, place.at["id"], signing)
    except Refused as no:
        if no.code not in AGAIN:
            raise
        return await _agreement(request, place, wrong=no.code, given=given)
    return await _at(request, "/doctor/signed", made.id)


async def signed(request: Request) -> Response:
    """What is kept of her signature."""
    found = await _last_signature(request)
    if found is None:
        return see_other(request, "/doctor")
    state = (await enrolment(request))["state"]
    return await show(request, "doctor/signed.html", signed=found, state=state, here="/doctor/signed")


async def copy(request: Request) -> Response:
    """The same on paper, with the whole text that was signed."""
    found = await _last_signature(request)
    if found is None:
        raise Refused("not_signed", "nothing is signed yet", status=409)
    return pdf_file(await signed_copy(found), f"agreement-{found['version']}.pdf")


async def sites_to_join(request: Request) -> list[Site]:
    """Where she can join: her sites, and the practices to which she was invited, but those where she has signed."""
    joined = {e["finess"] for e in await enrolments(request) if State(e["state"]) not in (State.IDENTIFIED, State.LEFT)}
    invited = await enrolment_overview.invitations_of(who(request).account.id)
    sites = {site.finess: site for site in who(request).sites if site.finess}
    for row in invited:
        if row["finess"]:
            sites.setdefault(row["finess"], Site(row["finess"], "", "", row["practice"], "", ""))
    return [site for finess, site in sites.items() if finess not in joined]


async def newer_agreement(request: Request, row: Row) -> Row | None:
    """The version that she has still to sign, with its difference to the one she signed; None when there is none."""
    if row["agreement_id"] is None or State(row["state"]) not in flow.STAYS:
        return None
    newest = await enrolment_overview.agreement(row["observatory_id"], _language(request))
    if newest is None or newest["version"] <= row["signed_version"]:
        return None
    old = await enrolment_overview.agreement(row["observatory_id"], newest["language"], version=row["signed_version"])
    changes = differences(old["body"], newest["body"]) if old else []
    return {**newest, "signed_version": row["signed_version"], "changes": changes}


def _language(request: Request) -> Language:
    return chosen_language(request) or browser_language(request)


def _signing(request: Request, given: Mapping[str, str]) -> flow.Signing:
    text_id = given.get("agreement", "")
    if not text_id.isdecimal() or len(text_id) > 18:
        raise Refused("other_agreement", "the form does not say which agreement was read", status=422)
    return flow.Signing(
        agreement_id=int(text_id),
        sha256=given.get("sha256", ""),
        includes_history=given.get("history") == "yes",
        proof=who(request).proof,
        email=given.get("email", "").strip(),
        until=given_day(given, "until"),
    )


async def _place(request: Request, finess: str | None) -> Place | None:
    """None: she has to choose first. A site that is not hers is refused."""
    sites = await sites_to_join(request)
    if finess is None:
        found = await chosen(request)
        if found is not None and (found["state"] != State.LEFT or "at" in request.query_params or not sites):
            return Place(found, found["observatory_id"])
        if len(sites) != 1:
            return None
        finess = sites[0].finess
    hers = next((e for e in await enrolments(request) if e["finess"] == finess and e["state"] != State.LEFT), None)
    if hers is not None:
        request.scope["at"] = hers["id"]
        return Place(hers, hers["observatory_id"])
    site = next((each for each in sites if each.finess == finess), None)
    if site is None:
        raise Refused("unknown_site", "this site is none of yours", status=404)
    return Place(site, (await _observatory())["id"])


async def _at(request: Request, path: str, enrolment_id: int) -> Response:
    """On to a page of this enrolment, which the address names when she has others."""
    others = any(e["id"] != enrolment_id or e["state"] == State.LEFT for e in await enrolments(request))
    return see_other(request, path, **({"at": str(enrolment_id)} if others else {}))


async def _last_signature(request: Request) -> Row | None:
    return await enrolment_overview.last_signature((await enrolment(request))["id"])


async def _observatory() -> dict[str, Any]:
    house = await overview.house()
    if house is None:
        raise Refused("no_observatory", "no observatory is open", status=409)
    return house


async def _choice_of_site(request: Request, *, missing: bool) -> Response:
    sites = [{"id": s.finess, "name": s.name, "place": f"FINESS {s.finess}"} for s in await sites_to_join(request)]
    return await show(
        request,
        "doctor/enrol.html",
        status=422 if missing else 200,
        sites=sites,
        joined=bool(request.scope["practices"]),
        observatory={"name": (await _observatory())["name"]},
        missing=missing and bool(sites),
    )


async def _agreement(
    request: Request, place: Place, *, wrong: str = "", given: Mapping[str, str] | None = None
) -> Response:
    """The newest version where it can be signed, else the one that was."""
    row = place.row
    newer = await newer_agreement(request, row) if row else None
    first = row is None or State(row["state"]) in SIGNABLE
    text = newer or await (
        enrolment_overview.agreement(place.observatory_id, _language(request))
        if row is None or first
        else enrolment_overview.agreement(place.observatory_id, row["signed_language"], version=row["signed_version"])
    )
    if text is None:
        raise Refused("no_agreement", "no agreement is published", status=409)
    return await show(
        request,
        "doctor/agreement.html",
        status=422 if wrong else 200,
        practice=place.at.name if isinstance(place.at, Site) else place.at["practice"],
        site=place.at.finess if isinstance(place.at, Site) else None,
        agreement={**text["body"], "id": text["id"], "version": text["version"], "hash": text["sha256"]},
        signed={
            "at": row["signed_at"],
            "version": row["signed_version"],
            "history": row["includes_history"],
        }
        if row and row["signed_at"]
        else None,
        newer=newer,
        signable=first or newer is not None,
        given=given or {"email": await _address(request)},
        wrong={wrong: words(request, AGAIN[wrong])} if wrong in AGAIN else {},
        missing=wrong == "read",
    )


async def _address(request: Request) -> str:
    """Where her copy may go: the address that her sign-in vouches for, else the one that she was invited at."""
    invited = await enrolment_overview.invitations_of(who(request).account.id)
    return who(request).proof.email or next((row["email"] for row in invited if row["email"]), "")
