"""Who can sign in at the demo's identity provider: the staff, and every doctor of the records."""

from collections.abc import Sequence

from portal.demo.bulk import Doctor, Practice
from portal.demo.provider import DemoPerson

STAFF = {
    "operator": ("operator@example.org", "Exploitante", "de démonstration"),
    "dpo": ("dpo@example.org", "Déléguée", "de démonstration"),
    "recipient": ("recipient@example.org", "Équipe", "de démonstration"),
}
"""By role: address, and the words that stand where a name would."""


NEWCOMERS = (("89999000006", "Nouvelle", 1), ("89999000014", "Partagée", 2), ("89999000022", "Remplaçante", 3))
"""Doctors who are in no record and may join: RPPS number, name, and at how many practices they work."""


def demo_persons() -> list[DemoPerson]:
    return [
        DemoPerson(
            f"{role} · {email}",
            {"sub": f"demo-{role}", "email": email, "email_verified": True, "given_name": given, "family_name": family},
        )
        for role, (email, given, family) in STAFF.items()
    ]


def demo_doctors(practices: Sequence[Practice]) -> list[DemoPerson]:
    """Every doctor, and the newcomers, with claims of Pro Santé Connect's shape: one exercise, one activity a site."""
    sites: dict[str, list[Practice]] = {}
    doctors = {}
    for practice in practices:
        for doctor in practice.doctors:
            doctors[doctor.id] = doctor
            sites.setdefault(doctor.id, []).append(practice)
    for rpps, family, places in NEWCOMERS:
        doctors[rpps] = Doctor(rpps, rpps, "Camille", family)
        sites[rpps] = list(practices[:places])
    return [
        DemoPerson(
            f"Dr {d.given} {d.family} · {', '.join(p.name for p in sites[d.id])}",
            {
                "sub": f"f:demo:{d.rpps}",
                "SubjectNameID": f"8{d.rpps}",
                "given_name": d.given,
                "family_name": d.family,
                "Palier_Authentification": "APPPRIP3^1.2.250.1.213.1.5.1.1.1",
                "otherIds": [],
                "SubjectRefPro": {
                    "codeCivilite": "",
                    "exercices": [
                        {
                            "codeProfession": "10",
                            "codeCategorieProfessionnelle": "C",
                            "codeTypeSavoirFaire": "S",
                            "codeSavoirFaire": "SM54",
                            "activities": [
                                {
                                    "numeroFinessSite": p.finess,
                                    "numeroSiretSite": "",
                                    "raisonSocialeSite": p.name,
                                    "codeModeExercice": "L",
                                    "identifiantTechniqueDeLaStructure": "",
                                }
                                for p in sites[d.id]
                            ],
                        }
                    ],
                },
            },
        )
        for d in sorted(doctors.values(), key=lambda d: (d.family, d.given))
    ]
