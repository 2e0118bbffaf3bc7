// DataBlock in Node.js: a crash-safe, zero-copy channel in shared memory. See README.md.
'use strict';

const { version } = require('./lib/native');

module.exports = {
    ...require('./lib/errors').public,
    ...require('./lib/producer'),
    ...require('./lib/consumer'),
    ...require('./lib/observer'),
    ...require('./lib/schema'),
    recovery: require('./lib/recovery'),
    version,
};
