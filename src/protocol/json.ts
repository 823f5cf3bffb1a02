/** What can be kept as state: plain JSON, small and bounded. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
