/**
 * Stands for the Service of a route that must not be served: no Service has this name (it must begin with a
 * letter, RFC 1035), so the route is there, shadows what lies under it, and answers 503. Who refused has said why.
 * See docs/decisions, "Annotations that protect".
 */
export const REFUSED_SERVICE = '0-refused';
