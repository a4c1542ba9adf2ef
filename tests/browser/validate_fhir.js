// Reads a JSON list of FHIR R4 resources; writes, for each, what the validator finds wrong.
const { Fhir } = require('fhir')
const fhir = new Fhir()
const resources = JSON.parse(require('fs').readFileSync(0, 'utf-8'))
const found = resources.map(one => fhir.validate(one, { errorOnUnexpected: true }).messages)
process.stdout.write(JSON.stringify(found))
