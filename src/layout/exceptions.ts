/** Vectors of exceptions: AMD64 APM vol. 2, table 8-1. */
export const EXCEPTION_DE = 0;
export const EXCEPTION_DB = 1;
export const EXCEPTION_NMI = 2;
export const EXCEPTION_UD = 6;
export const EXCEPTION_NM = 7;
export const EXCEPTION_DF = 8;
export const EXCEPTION_TS = 10;
export const EXCEPTION_NP = 11;
export const EXCEPTION_SS = 12;
export const EXCEPTION_GP = 13;
export const EXCEPTION_PF = 14;
export const EXCEPTION_MF = 16;
export const EXCEPTION_AC = 17;
export const EXCEPTION_XM = 19;
