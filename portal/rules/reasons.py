"""What each reason means: a sentence for the desk and the DPO, the plainer one that doctors and patients see, its law.

The plain sentences are few on purpose: none tells an objection from a doubt about who somebody is.
"""

from dataclasses import dataclass
from enum import Enum

from portal.rules.words import Language


class Seen(Enum):
    """What a doctor or a patient is told, in French and in English."""

    OBSERVATORY = ("L’observatoire ne reçoit rien en ce moment.", "The observatory receives nothing at the moment.")
    PRACTICE = ("Le cabinet n’envoie rien en ce moment.", "The practice sends nothing at the moment.")
    RECORD = ("Cette donnée n’est pas de celles qui partent.", "This item is not one of those that leave.")
    OUT = ("Ne participe pas.", "Does not take part.")
    GONE = ("N’est plus suivi au cabinet.", "Is no longer a patient of the practice.")
    NOT_TOLD = ("N’a pas été prévenu.", "Has not been told.")
    WAITING = ("A encore le temps de répondre.", "Still has time to answer.")
    GROUP = ("Trop peu de personnes se ressemblent : on pourrait la reconnaître.", "Too few people alike.")
    REMADE = ("La livraison est refaite.", "The release is being made again.")


@dataclass(frozen=True, slots=True)
class Reason:
    """fr, en: for the desk. law: where the rule comes from; the data protection officer checks it for her case."""

    fr: str
    en: str
    seen: Seen
    law: str


_GDPR = "GDPR art."
_LIL66 = "French Data Protection Act (LIL) art. 66"

REASONS: dict[str, Reason] = {
    "G00": Reason("Horloge, clé, journal ou base indisponible", "Clock, key, log or database unavailable",
                  Seen.OBSERVATORY, f"{_GDPR} 5(1)(f), 25, 32"),
    "G01": Reason("Observatoire inconnu ou inactif", "Observatory unknown or not active", Seen.OBSERVATORY,
                  f"{_GDPR} 5(2)"),
    "G02": Reason("Aucune autorisation au dossier", "No authorisation on file", Seen.OBSERVATORY,
                  f"{_LIL66}; CNIL SAN-2024-013"),
    "G03": Reason("Autorisation pas encore valable, expirée ou suspendue",
                  "Authorisation not yet valid, expired or suspended", Seen.OBSERVATORY, _LIL66),
    "G04": Reason("Analyse d’impact absente ou à revoir", "Impact assessment missing or past its review",
                  Seen.OBSERVATORY, f"{_GDPR} 35"),
    "G05": Reason("Étude inconnue, close ou sans avis éthique", "Study unknown, closed or without an ethics opinion",
                  Seen.OBSERVATORY, f"{_GDPR} 5(1)(b); {_LIL66}"),
    "G06": Reason("But hors de l’autorisation, ou interdit", "Purpose outside the authorisation, or banned",
                  Seen.OBSERVATORY, f"{_GDPR} 5(1)(b); CNIL SAN-2026-008"),
    "G07": Reason("Destinataire sans droit, ou effacement en retard",
                  "Recipient not entitled, or late with a deletion", Seen.OBSERVATORY, f"{_GDPR} 28, 44; {_LIL66}"),
    "G08": Reason("Étude affichée depuis trop peu de temps", "Study not on the transparency page long enough",
                  Seen.OBSERVATORY, f"{_GDPR} 12, 14"),
    "G09": Reason("Demandeur sans droit, ou seconde personne absente", "Requester not entitled, or no second person",
                  Seen.OBSERVATORY, f"{_GDPR} 32"),
    "G10": Reason("Colonne demandée hors de la liste", "A requested column is not in the approved list",
                  Seen.OBSERVATORY, f"{_GDPR} 5(1)(c)"),
    "G11": Reason("Identité directe dans une valeur", "A direct identifier in an output value", Seen.OBSERVATORY,
                  f"{_GDPR} 4(5), 5(1)(c)"),
    "G12": Reason("Précision demandée trop fine", "A requested precision is finer than allowed", Seen.OBSERVATORY,
                  f"{_GDPR} 5(1)(c)"),
    "G13": Reason("Clé de pseudonyme d’une autre étude", "The pseudonym key is not this study’s", Seen.OBSERVATORY,
                  f"{_GDPR} 4(5)"),
    "G20": Reason("Cabinet ou médecin non inscrit", "Practice or doctor not enrolled here", Seen.PRACTICE,
                  f"{_GDPR} 5(1)(a); CNIL SAN-2026-008"),
    "G21": Reason("Identité du médecin non vérifiée", "The doctor’s identity is not verified", Seen.PRACTICE,
                  f"{_GDPR} 5(1)(a), 32"),
    "G22": Reason("Accord non signé, ou version dépassée", "Agreement not signed, or an old version", Seen.PRACTICE,
                  f"{_GDPR} 5(1)(a), 28"),
    "G23": Reason("Médecin en pause, parti ou suspendu", "The doctor has paused, left or is suspended",
                  Seen.PRACTICE, f"{_GDPR} 5(1)(a)"),
    "G25": Reason("Donnée datée hors de l’inscription du médecin", "Record dated outside the doctor’s enrolment",
                  Seen.RECORD, f"{_GDPR} 5(1)(a)"),
    "G26": Reason("Liste des patients trop ancienne", "The practice’s register is too old", Seen.PRACTICE,
                  f"{_GDPR} 5(1)(d)"),
    "G30": Reason("Copie automatique du téléservice", "Copied automatically from a teleservice", Seen.RECORD,
                  f"{_GDPR} 5(1)(a); CNIL SAN-2024-013"),
    "G31": Reason("Origine inconnue", "Origin unknown", Seen.RECORD, f"{_GDPR} 5(1)(a)"),
    "G32": Reason("Hors de la période permise", "Outside the authorised period, or in a span of objection",
                  Seen.RECORD, f"{_GDPR} 5(1)(c), 21"),
    "G33": Reason("Code hors de la liste", "Code not on the list of its column", Seen.RECORD, f"{_GDPR} 5(1)(c), 9"),
    "G34": Reason("Médecin de la donnée non inscrit ou inconnu", "The record’s doctor has not enrolled, or is unknown",
                  Seen.RECORD, f"{_GDPR} 5(1)(a)"),
    "G40": Reason("Personne non identifiée avec certitude", "Not certain who this is", Seen.OUT, f"{_GDPR} 5(1)(d)"),
    "G41": Reason("A dit non à tout", "Objects to everything", Seen.OUT, f"{_GDPR} 21; LIL art. 74"),
    "G42": Reason("A dit non à l’observatoire", "Objects to the observatory", Seen.OUT, f"{_GDPR} 21; LIL art. 74"),
    "G43": Reason("A dit non à l’étude", "Objects to the study", Seen.OUT, f"{_GDPR} 21; LIL art. 74"),
    "G44": Reason("A dit non pour ce cabinet", "Objects for this practice", Seen.OUT, f"{_GDPR} 21; LIL art. 74"),
    "G45": Reason("Peut-être une personne qui a dit non", "Possibly somebody who objects", Seen.OUT,
                  f"{_GDPR} 5(1)(d), 21"),
    "G46": Reason("Limitation, effacement ou correction demandés", "Restriction, erasure or rectification asked for",
                  Seen.OUT, f"{_GDPR} 16, 17, 18"),
    "G47": Reason("Âge ou représentant inconnu", "Age or representative unknown", Seen.OUT, f"{_GDPR} 8, 12"),
    "G48": Reason("Personne décédée, non couverte", "Deceased, and not covered", Seen.GONE, "LIL art. 84 to 86"),
    "G49": Reason("N’est plus patient du cabinet", "Has left the practice", Seen.GONE, f"{_GDPR} 5(1)(d)"),
    "G50": Reason("Aucune notice", "No notice", Seen.NOT_TOLD, f"{_GDPR} 13, 14; CNIL SAN-2026-008"),
    "G51": Reason("Texte de la notice non valable", "The notice’s text is not valid", Seen.NOT_TOLD,
                  f"{_GDPR} 12, 13, 14"),
    "G52": Reason("Notice remplacée par une nouvelle", "The notice has been superseded", Seen.NOT_TOLD,
                  f"{_GDPR} 13(3), 14(4)"),
    "G53": Reason("La notice ne couvre pas cet usage", "The notice does not cover this use", Seen.NOT_TOLD,
                  f"{_GDPR} 13(3), 14(4)"),
    "G54": Reason("La notice n’est plus adressée à la bonne personne", "The notice no longer has the right addressee",
                  Seen.NOT_TOLD, f"{_GDPR} 8, 12"),
    "G55": Reason("Notice non remise", "The notice was not delivered", Seen.NOT_TOLD, f"{_GDPR} 12, 14"),
    "G56": Reason("Délai de réflexion en cours", "The reflection period is still running", Seen.WAITING,
                  f"{_GDPR} 12(2), 21"),
    "G57": Reason("Preuve de la notice absente", "The evidence of the notice is missing", Seen.NOT_TOLD,
                  f"{_GDPR} 5(2)"),
    "G58": Reason("Notice donnée après l’extraction", "The notice was given after the row was extracted",
                  Seen.NOT_TOLD, f"{_GDPR} 14(3)"),
    "G60": Reason("Doublon", "Duplicate", Seen.RECORD, f"{_GDPR} 5(1)(d)"),
    "G61": Reason("Groupe trop petit", "Small cell: k below the limit", Seen.GROUP, "WP29 opinion 05/2014"),
    "G62": Reason("Résultats qui diffèrent de quelques personnes", "Results that differ by a few persons",
                  Seen.GROUP, "WP29 opinion 05/2014"),
    "G70": Reason("Fermé depuis la décision", "Closed since the decision", Seen.REMADE, f"{_GDPR} 21, 25"),
    "G71": Reason("Manifeste, compte ou signature qui ne correspond pas", "Manifest, count or signature mismatch",
                  Seen.REMADE, f"{_GDPR} 5(1)(f)"),
    "G72": Reason("Approbation donnée pour d’autres conditions", "The approval is for other conditions",
                  Seen.REMADE, f"{_GDPR} 5(2), 25"),
}  # fmt: skip
"""Every code of the domain, in its order of codes."""


def sentence(code: str, language: Language) -> str:
    """The desk's sentence of a code; the code itself when it is unknown."""
    reason = REASONS.get(code)
    if reason is None:
        return code
    return reason.fr if language is Language.FR else reason.en


def sheet() -> str:
    """docs/reasons.md: every reason with its sentences and its law. A test holds the file equal to this."""
    lines = [
        "# Why a record does not pass",
        "",
        "Made from `portal/rules/reasons.py`. Every rule is evaluated; the first one that fails, in the order of",
        "`portal/rules/clearance.py`, is shown and counted. Doctors and patients see the plain sentence only.",
        "The legal sources are the authors' reading: a data protection officer checks them for her case.",
        "",
        "| code | desk (fr) | desk (en) | doctors and patients (fr) | (en) | law |",
        "|---|---|---|---|---|---|",
    ]
    for code, r in REASONS.items():
        french, english = r.seen.value
        lines.append(f"| {code} | {r.fr} | {r.en} | {french} | {english} | {r.law} |")
    return "\n".join(lines) + "\n"
