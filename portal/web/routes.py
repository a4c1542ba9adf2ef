"""The whole site on one page: every address, what answers there, and who may ask. A page without a policy is none."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from portal.flow.sign_in import STAFF
from portal.rules.refusals import Refused
from portal.rules.scopes import Access
from portal.rules.words import Role
from portal.web import (
    api_description,
    by_code,
    desk,
    desk_campaigns,
    desk_drafts,
    desk_enrolments,
    desk_identity,
    desk_letters,
    desk_objections,
    desk_programs,
    desk_releases,
    doctor,
    doctor_handing,
    doctor_joining,
    doctor_papers,
    doctor_patients,
    doctor_permits,
    doctor_software,
    fhir_api,
    join,
    metrics,
    patient,
    public,
    recipient,
    session,
    sign_in,
    without_link,
)
from portal.web.frame import portal_of, see_other
from portal.web.programs_door import admit_program

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may ask: everybody (`roles` is None, and no cookie is read), or who is signed in with one of the roles.

    `token`: only a program that sends the token of the settings; without one there, nobody. `access`: only a program
    that holds a token for it, and for the practice in the address.
    """

    roles: frozenset[Role] | None
    token: bool = False
    access: Access | None = None


@dataclass(frozen=True, slots=True)
class Page:
    method: str
    path: str
    answers: Endpoint
    who: Policy


EVERYBODY = Policy(None)
MONITORS = Policy(None, token=True)
DOCTORS = Policy(frozenset({Role.DOCTOR}))
OPERATORS = Policy(frozenset({Role.OPERATOR}))
DPOS = Policy(frozenset({Role.DPO}))
DESK = Policy(frozenset({Role.OPERATOR, Role.DPO}))
READERS = Policy(frozenset({Role.OPERATOR, Role.DPO, Role.AUDITOR}))
RECIPIENTS = Policy(frozenset({Role.RECIPIENT}))
CONSENT_READERS = Policy(None, access=Access.CONSENT_READ)
CONSENT_SENDERS = Policy(None, access=Access.CONSENT_WRITE)

PAGES: tuple[Page, ...] = (
    Page("GET", "/", public.home, EVERYBODY),
    Page("GET", "/transparency", public.transparency, EVERYBODY),
    Page("GET", "/legal", public.legal, EVERYBODY),
    Page("GET", "/healthz", public.alive, EVERYBODY),
    Page("GET", "/readyz", public.ready, EVERYBODY),
    Page("GET", "/metrics", metrics.metrics, MONITORS),
    Page("GET", "/log/key", public.log_key, EVERYBODY),
    Page("GET", "/log/checkpoint", public.log_checkpoint, EVERYBODY),
    Page("GET", "/o/{token}", patient.notice, EVERYBODY),
    Page("GET", "/o/{token}/part", patient.part, EVERYBODY),
    Page("GET", "/o/{token}/withdraw", patient.ask_to_withdraw, EVERYBODY),
    Page("GET", "/o/{token}/receipt", patient.receipt, EVERYBODY),
    Page("GET", "/o/{token}/receipt.json", patient.receipt_as_file, EVERYBODY),
    Page("GET", "/o/{token}/receipt.pdf", patient.receipt_as_pdf, EVERYBODY),
    Page("GET", "/o/{token}/kept", patient.kept, EVERYBODY),
    Page("GET", "/o/{token}/uses", patient.uses, EVERYBODY),
    Page("GET", "/o/{token}/rights", patient.rights, EVERYBODY),
    Page("GET", "/o/{token}/read/{reader}", patient.reading, EVERYBODY),
    Page("POST", "/o/{token}/object", patient.object_, EVERYBODY),
    Page("POST", "/o/{token}/keep", patient.keep, EVERYBODY),
    Page("POST", "/o/{token}/withdraw", patient.withdraw, EVERYBODY),
    Page("POST", "/o/{token}/rights", patient.ask_right, EVERYBODY),
    Page("GET", "/code", by_code.ask, EVERYBODY),
    Page("POST", "/code", by_code.open_code, EVERYBODY),
    Page("GET", "/object", without_link.ask, EVERYBODY),
    Page("POST", "/object", without_link.object_, EVERYBODY),
    Page("GET", "/object/paper", without_link.on_paper, EVERYBODY),
    Page("GET", "/object/{id}", without_link.received, EVERYBODY),
    Page("GET", "/join", join.page, EVERYBODY),
    Page("GET", "/join/{token}", join.invited, EVERYBODY),
    Page("GET", "/login", sign_in.choose, EVERYBODY),
    Page("GET", "/login/doctor", sign_in.begin_as_doctor, EVERYBODY),
    Page("GET", "/login/staff", sign_in.begin_as_staff, EVERYBODY),
    Page("GET", "/login/callback", sign_in.come_back, EVERYBODY),
    Page("POST", "/logout", sign_in.leave, EVERYBODY),
    Page("GET", "/doctor", doctor.home, DOCTORS),
    Page("GET", "/doctor/enrol", doctor_joining.enrol_page, DOCTORS),
    Page("POST", "/doctor/enrol", doctor_joining.enrol, DOCTORS),
    Page("GET", "/doctor/agreement", doctor_joining.agreement, DOCTORS),
    Page("POST", "/doctor/agreement", doctor_joining.sign, DOCTORS),
    Page("GET", "/doctor/signed", doctor_joining.signed, DOCTORS),
    Page("POST", "/doctor/signed/copy", doctor_joining.copy, DOCTORS),
    Page("GET", "/doctor/patients", doctor_patients.patients, DOCTORS),
    Page("POST", "/doctor/patients", doctor_patients.find, DOCTORS),
    Page("POST", "/doctor/patients/object", doctor_patients.object_for, DOCTORS),
    Page("POST", "/doctor/patients/alone", doctor_patients.tell_alone, DOCTORS),
    Page("POST", "/doctor/patients/holders", doctor_patients.tell_holders, DOCTORS),
    Page("POST", "/doctor/patients/hand-over", doctor_handing.prepare, DOCTORS),
    Page("GET", "/doctor/notices/{id}", doctor_handing.page, DOCTORS),
    Page("POST", "/doctor/notices/{id}/print", doctor_handing.print_, DOCTORS),
    Page("POST", "/doctor/notices/{id}/confirm", doctor_handing.confirm, DOCTORS),
    Page("POST", "/doctor/notices/{id}/undo", doctor_handing.undo, DOCTORS),
    Page("GET", "/doctor/software", doctor_software.page, DOCTORS),
    Page("POST", "/doctor/software/key", doctor_software.register_key, DOCTORS),
    Page("POST", "/doctor/software/{id}/let-act", doctor_software.let_act, DOCTORS),
    Page("POST", "/doctor/software/{id}/end", doctor_software.end, DOCTORS),
    Page("GET", "/doctor/objections/{id}", doctor_patients.objection, DOCTORS),
    Page("POST", "/doctor/objections/{id}/undo", doctor_patients.undo_objection, DOCTORS),
    Page("POST", "/doctor/objections/{id}/take-back", doctor_patients.take_back_objection, DOCTORS),
    Page("GET", "/doctor/papers", doctor_papers.papers, DOCTORS),
    Page("POST", "/doctor/papers", doctor_papers.handed_in, DOCTORS),
    Page("GET", "/doctor/papers/{id}", doctor_papers.paper, DOCTORS),
    Page("GET", "/doctor/permits", doctor_permits.permits, DOCTORS),
    Page("POST", "/doctor/permits", doctor_permits.prepare, DOCTORS),
    Page("GET", "/doctor/leave", doctor.leave_page, DOCTORS),
    Page("POST", "/doctor/leave", doctor.leave, DOCTORS),
    Page("POST", "/doctor/pause", doctor.pause, DOCTORS),
    Page("POST", "/doctor/resume", doctor.resume, DOCTORS),
    Page("GET", "/desk", desk.home, READERS),
    Page("GET", "/desk/log", desk.log, READERS),
    Page("POST", "/desk/log/read", desk.read_up_to, READERS),
    Page("GET", "/desk/enrolments", desk_enrolments.page, DESK),
    Page("POST", "/desk/enrolments/{id:int}/verify", desk_enrolments.verify, OPERATORS),
    Page("POST", "/desk/enrolments/{id:int}/look-up", desk_enrolments.look_up_doctor, OPERATORS),
    Page("POST", "/desk/enrolments/{id:int}/suspend", desk_enrolments.suspend_doctor, OPERATORS),
    Page("POST", "/desk/enrolments/{id:int}/lift", desk_enrolments.lift, OPERATORS),
    Page("POST", "/desk/invitations", desk_enrolments.invite_doctor, OPERATORS),
    Page("POST", "/desk/invitations/{id}/withdraw", desk_enrolments.withdraw_invitation, OPERATORS),
    Page("GET", "/desk/texts", desk.texts, DESK),
    Page("POST", "/desk/texts/{id}/approve", desk.approve_text, DPOS),
    Page("GET", "/desk/campaigns", desk_campaigns.campaigns, DESK),
    Page("POST", "/desk/campaigns", desk_campaigns.start, OPERATORS),
    Page("GET", "/desk/campaigns/plan", desk_campaigns.plan, OPERATORS),
    Page("POST", "/desk/campaigns/{id:int}/stop", desk_campaigns.stop, OPERATORS),
    Page("POST", "/desk/campaigns/{id:int}/resume", desk_campaigns.resume, OPERATORS),
    Page("POST", "/desk/campaigns/{id:int}/again", desk_campaigns.try_again, OPERATORS),
    Page("GET", "/desk/letters", desk_letters.page, DESK),
    Page("POST", "/desk/letters", desk_letters.print_, OPERATORS),
    Page("POST", "/desk/letters/returned", desk_letters.returned, OPERATORS),
    Page("POST", "/desk/letters/{id:int}/file", desk_letters.file, OPERATORS),
    Page("POST", "/desk/letters/{id:int}/sheet", desk_letters.sheet, OPERATORS),
    Page("POST", "/desk/letters/{id:int}/posted", desk_letters.posted, OPERATORS),
    Page("GET", "/desk/drafts", desk_drafts.drafts, DESK),
    Page("POST", "/desk/drafts/{id:int}/approve", desk_drafts.approve, DPOS),
    Page("POST", "/desk/drafts/{id:int}/refuse", desk_drafts.refuse, DPOS),
    Page("GET", "/desk/studies", desk_drafts.studies, DESK),
    Page("POST", "/desk/studies/{id}/close", desk_drafts.close_study, DESK),
    Page("POST", "/desk/authorisations/{id}/suspend", desk_drafts.suspend_authorisation, DESK),
    Page("GET", "/desk/releases", desk_releases.releases, DESK),
    Page("POST", "/desk/releases", desk_releases.prepare, OPERATORS),
    Page("GET", "/desk/releases/{id}", desk_releases.release, DESK),
    Page("POST", "/desk/releases/{id}/approve", desk_releases.approve, DPOS),
    Page("POST", "/desk/releases/{id}/seal", desk_releases.seal, OPERATORS),
    Page("GET", "/desk/objections", desk_objections.objections, DESK),
    Page("POST", "/desk/objections", desk_objections.record, DESK),
    Page("POST", "/desk/objections/{id}/open", desk_objections.open_objection, DPOS),
    Page("POST", "/desk/objections/{id}/settle", desk_objections.settle, DPOS),
    Page("POST", "/desk/objections/{id}/take-back", desk_objections.take_back, DPOS),
    Page("POST", "/desk/objections/told", desk_objections.take_back_told, DPOS),
    Page("GET", "/desk/programs", desk_programs.page, DESK),
    Page("POST", "/desk/programs", desk_programs.put_on_file, OPERATORS),
    Page("POST", "/desk/programs/{id}/close", desk_programs.close, DESK),
    Page("GET", "/desk/outages", desk.outages, DESK),
    Page("POST", "/desk/outages", desk.begin_outage, DESK),
    Page("POST", "/desk/outages/{id:int}/end", desk.end_outage, DESK),
    Page("GET", "/desk/doubts", desk_identity.doubts, DESK),
    Page("POST", "/desk/doubts/part", desk_identity.part, DPOS),
    Page("POST", "/desk/doubts/{id:int}/open", desk_identity.open_doubt, DPOS),
    Page("POST", "/desk/doubts/{id:int}/settle", desk_identity.settle_doubt, DPOS),
    Page("GET", "/desk/requests", desk_identity.requests, DESK),
    Page("POST", "/desk/requests", desk_identity.open_request, DPOS),
    Page("POST", "/desk/requests/{id}/file", desk_identity.access_file, DPOS),
    Page("POST", "/desk/requests/{id}/answer", desk_identity.answer_request, DPOS),
    Page("GET", "/recipient", recipient.home, RECIPIENTS),
    Page("POST", "/recipient/releases/{id}/download", recipient.download, RECIPIENTS),
    Page("POST", "/recipient/retractions/acknowledge", recipient.acknowledge, RECIPIENTS),
    Page("POST", "/recipient/retractions/download", recipient.retraction_list, RECIPIENTS),
    Page("GET", "/fhir/metadata", fhir_api.metadata, EVERYBODY),
    Page("GET", "/fhir/.well-known/smart-configuration", fhir_api.smart, EVERYBODY),
    Page("GET", "/fhir/Consent", fhir_api.search, CONSENT_READERS),
    Page("GET", "/fhir/Consent/{id}", fhir_api.read, CONSENT_READERS),
    Page("POST", "/fhir/Consent", fhir_api.create, CONSENT_SENDERS),
    Page("POST", "/fhir", fhir_api.transact, CONSENT_SENDERS),
    Page("GET", "/api/openapi.json", api_description.openapi, EVERYBODY),
    *(
        Page(
            each.method, each.path, each.answers, EVERYBODY if each.access is None else Policy(None, access=each.access)
        )
        for each in api_description.OPERATIONS
    ),
)


class Door:
    """One address: finds the page of the method, admits or turns away by that page's own policy, and answers."""

    def __init__(self, path: str, pages: dict[str, Page]) -> None:
        self.path, self.pages = path, pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        page = self.pages["GET" if request.method == "HEAD" else request.method]
        response = await _turned_away(request, page.who)
        if response is None:
            response = await page.answers(request)
            if "signed_in" in scope:
                session.renew(request, response)
        await response(scope, receive, send)


async def _turned_away(request: Request, who: Policy) -> Response | None:
    """None admits, and leaves in the scope who is signed in. Staff are admitted with a second factor only."""
    portal = portal_of(request)
    if who.access is not None:
        await admit_program(request, who.access)
    if who.token and not metrics.may_read(portal.settings, request.headers.get("authorization", "")):
        raise Refused("no_token", "this page is for a program that sends its token", status=401)
    if who.roles is None:
        return None
    found = await session.whose(request)
    if found is None:
        if request.method in ("GET", "HEAD"):
            return see_other(request, "/login")
        raise Refused("not_signed_in", "sign in first", status=401)
    if found.account.role not in who.roles:
        raise Refused("other_role", "this page is for another role", status=403)
    if found.account.role in STAFF and not found.second_factor:
        raise Refused("no_second_factor", "staff sign in with a second factor", status=403)
    request.scope["signed_in"] = found
    return None


def routes(pages: Sequence[Page] = PAGES) -> list[Route]:
    """One route an address. TypeError, which stops the start, for a page without a policy or an address twice."""
    by_path: dict[str, dict[str, Page]] = {}
    for page in pages:
        if not isinstance(page.who, Policy):
            raise TypeError(f"{page.method} {page.path} has no policy: say who may ask")
        there = by_path.setdefault(page.path, {})
        if page.method in there:
            raise TypeError(f"{page.method} {page.path} stands twice")
        there[page.method] = page
    return [Route(path, Door(path, there), methods=list(there)) for path, there in by_path.items()]
