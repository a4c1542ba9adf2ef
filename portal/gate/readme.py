"""What stands in the README of every release, in French and English, with what was measured."""

from collections.abc import Mapping

from portal.gate.disclosure import Disclosure

_TEXT = """\
# {release}: pseudonymised personal data

Study: {study}. These are **pseudonymised personal data** within the meaning of Article 4(5) of the GDPR. They are
not anonymous, and everything the GDPR asks for applies to them.

## Rules of use

- Use them for this study only, by the persons named in its contract, in the countries it names.
- Do not try to find out who somebody is, and do not link them with other data.
- Do not pass them on. Publish aggregates only, with no cell below {least} persons.
- When a retraction reaches you, delete the rows of the pseudonyms it names, in every copy, by the day it gives, and
  acknowledge it. No reason is given, and none may be looked for.
- Before each use, check the release: `portal release verify DIR --key FILE`. Records that came encrypted (`.age`) are
  opened with your own age identity: `portal release open DIR --key FILE --identity FILE --out DIR`.

## What was measured

By the three criteria of the Article 29 Working Party (Opinion 05/2014), over {persons} persons and the
quasi-identifiers {quasi}:

| criterion | in this release |
|---|---|
| Singling out | Possible. Smallest group of persons with the same values: {k_min}; persons alone in their group: {uniques}. By any four of these values: {k_four}. Dates and care themselves can single somebody out. |
| Linkability | The rows of one person carry one pseudonym, so they can be linked with each other. The pseudonym is this study's own: it cannot be linked with another study's. |
| Inference | Possible: a group whose members all share a value gives it away. Of {cells} groups, those that do: {shared}. |

## Columns

{columns}

---

# {release} : données personnelles pseudonymisées

Étude : {study}. Ce sont des **données à caractère personnel pseudonymisées** au sens de l'article 4, point 5, du
RGPD. Elles ne sont pas anonymes, et le RGPD s'y applique entièrement.

## Règles d'utilisation

- Ne les utilisez que pour cette étude, par les personnes et dans les pays que nomme son contrat.
- Ne cherchez pas à savoir qui est une personne, et ne rapprochez pas ces données d'autres données.
- Ne les transmettez pas. Ne publiez que des agrégats, sans aucun effectif inférieur à {least} personnes.
- Quand une demande de retrait vous parvient, effacez, dans toutes vos copies et avant la date indiquée, les lignes des
  pseudonymes qu'elle nomme, puis accusez-en réception. Aucun motif n'est donné, et aucun ne doit être recherché.
- Avant chaque utilisation, vérifiez la livraison : `portal release verify DOSSIER --key FICHIER`. Des enregistrements
  reçus chiffrés (`.age`) s’ouvrent avec votre identité age : `portal release open DOSSIER --key FICHIER --identity
  FICHIER --out DOSSIER`.

## Ce qui a été mesuré

Selon les trois critères du groupe de l'article 29 (avis 05/2014), sur {persons} personnes et les
quasi-identifiants {quasi} :

| critère | dans cette livraison |
|---|---|
| Individualisation | Possible. Plus petit groupe de personnes aux mêmes valeurs : {k_min} ; personnes seules dans leur groupe : {uniques}. Selon quatre de ces valeurs : {k_four}. Les dates et les soins peuvent à eux seuls individualiser quelqu'un. |
| Corrélation | Les lignes d'une même personne portent un même pseudonyme et peuvent être rapprochées. Ce pseudonyme est propre à l'étude : il ne peut pas être rapproché de celui d'une autre étude. |
| Inférence | Possible : un groupe dont tous les membres partagent une valeur la révèle. Sur {cells} groupes, ceux qui le font : {shared}. |
"""  # noqa: E501 - a row of a table is one line


def readme(release_id: str, study_id: str, disclosure: Disclosure, columns: Mapping[str, str]) -> str:
    """The text; it says what the data are and never that they are harmless."""
    return _TEXT.format(
        release=release_id,
        study=study_id,
        least=disclosure.least,
        persons=disclosure.persons,
        quasi=", ".join(f"`{name}`" for name in disclosure.quasi_identifiers) or "–",
        k_min=disclosure.k_min,
        uniques=disclosure.uniques,
        k_four=min((one.k_min for one in disclosure.subsets), default=disclosure.k_min),
        cells=disclosure.cells,
        shared=", ".join(f"`{one.column}` {one.cells}" for one in disclosure.shared) or "–",
        columns="\n".join(f"- `{name}`: {precision}" for name, precision in columns.items()),
    )
