// Reads one application a line, as JSON, and says of each whether jambonz takes it: "" or why not, as JSON.
const {normalizeJambones, validate, validateApp} = require('@jambonz/schema');

const logger = {info() {}, debug() {}, error() {}};
const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter((line) => line);
for (const line of lines) {
  let problem = '';
  try {
    const normal = normalizeJambones(logger, JSON.parse(line));
    validate(logger, normal);
    const whole = validateApp(normal.flatMap(Object.entries).map(([verb, data]) => ({verb, ...data})));
    if (!whole.valid) problem = JSON.stringify(whole.errors);
  } catch (error) {
    problem = error.message;
  }
  console.log(JSON.stringify(problem));
}
