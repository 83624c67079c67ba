import { parseTable, type Row } from './row.ts';

/** Integer instructions that exist on MMX registers and, behind 66h, on XMM registers: map, opcode, mnemonic. */
const SHARED = `
  0F.63 packsswb    0F.64 pcmpgtb     0F.65 pcmpgtw     0F.66 pcmpgtd     0F.67 packuswb
  0F.68 punpckhbw   0F.69 punpckhwd   0F.6A punpckhdq   0F.6B packssdw
  0F.74 pcmpeqb     0F.75 pcmpeqw     0F.76 pcmpeqd
  0F.D1 psrlw       0F.D2 psrld       0F.D3 psrlq       0F.D4 paddq       0F.D5 pmullw
  0F.D8 psubusb     0F.D9 psubusw     0F.DA pminub      0F.DB pand        0F.DC paddusb
  0F.DD paddusw     0F.DE pmaxub      0F.DF pandn       0F.E0 pavgb       0F.E1 psraw
  0F.E2 psrad       0F.E3 pavgw       0F.E4 pmulhuw     0F.E5 pmulhw      0F.E8 psubsb
  0F.E9 psubsw      0F.EA pminsw      0F.EB por         0F.EC paddsb      0F.ED paddsw
  0F.EE pmaxsw      0F.EF pxor        0F.F1 psllw       0F.F2 pslld       0F.F3 psllq
  0F.F4 pmuludq     0F.F5 pmaddwd     0F.F6 psadbw      0F.F8 psubb       0F.F9 psubw
  0F.FA psubd       0F.FB psubq       0F.FC paddb       0F.FD paddw       0F.FE paddd
  0F38.00 pshufb    0F38.01 phaddw    0F38.02 phaddd    0F38.03 phaddsw   0F38.04 pmaddubsw
  0F38.05 phsubw    0F38.06 phsubd    0F38.07 phsubsw   0F38.08 psignb    0F38.09 psignw
  0F38.0A psignd    0F38.0B pmulhrsw  0F38.1C pabsb     0F38.1D pabsw     0F38.1E pabsd`;

const sharedRows = SHARED.trim()
  .split(/\s{2,}|\n/)
  .filter(Boolean)
  .map((entry) => {
    const [opcode = '', mnemonic = ''] = entry.trim().split(' ');
    return `
    NP.${opcode} ${mnemonic} Pq,Qq
    66.${opcode} ${mnemonic} Vx,Wx`;
  })
  .join('');

/** Shifts by an immediate. */
const shiftRows =
  `71/2 psrlw  71/4 psraw  71/6 psllw  72/2 psrld  72/4 psrad  72/6 pslld  73/2 psrlq  73/6 psllq`
    .split('  ')
    .map((entry) => {
      const [opcode = '', mnemonic = ''] = entry.split(' ');
      return `
    NP.0F.${opcode} ${mnemonic} Nq,Ib
    66.0F.${opcode} ${mnemonic} Ux,Ib`;
    })
    .join('');

/** Arithmetic in the four formats ps, pd, ss, sd. */
const floatRows = `51 sqrt  58 add  59 mul  5C sub  5D min  5E div  5F max`
  .split('  ')
  .map((entry) => {
    const [opcode = '', mnemonic = ''] = entry.split(' ');
    return `
    NP.0F.${opcode} ${mnemonic}ps Vx,Wx
    66.0F.${opcode} ${mnemonic}pd Vx,Wx
    F3.0F.${opcode} ${mnemonic}ss Vd,Wd
    F2.0F.${opcode} ${mnemonic}sd Vq,Wq`;
  })
  .join('');

/** MMX, SSE, SSE2, SSE3, SSSE3, SSE4.1 and SSE4.2. */
export const SSE_ROWS: readonly Row[] = parseTable(`
  ${sharedRows}
  ${shiftRows}
  ${floatRows}

  NP.0F.10    movups    Vx,Wx   unaligned
  66.0F.10    movupd    Vx,Wx   unaligned
  F3.0F.10    movss     Vd,Wd
  F2.0F.10    movsd     Vq,Wq
  NP.0F.11    movups    Wx,Vx   unaligned
  66.0F.11    movupd    Wx,Vx   unaligned
  F3.0F.11    movss     Wd,Vd
  F2.0F.11    movsd     Wq,Vq
  NP.0F.12    movlps    Vq,Mq
  NP.0F.12    movhlps   Vx,Ux
  66.0F.12    movlpd    Vq,Mq
  F3.0F.12    movsldup  Vx,Wx
  F2.0F.12    movddup   Vx,Wq
  NP.0F.13    movlps    Mq,Vq
  66.0F.13    movlpd    Mq,Vq
  NP.0F.14    unpcklps  Vx,Wx
  66.0F.14    unpcklpd  Vx,Wx
  NP.0F.15    unpckhps  Vx,Wx
  66.0F.15    unpckhpd  Vx,Wx
  NP.0F.16    movhps    Vx,Mq
  NP.0F.16    movlhps   Vx,Ux
  66.0F.16    movhpd    Vx,Mq
  F3.0F.16    movshdup  Vx,Wx
  NP.0F.17    movhps    Mq,Vx
  66.0F.17    movhpd    Mq,Vx
  NP.0F.28    movaps    Vx,Wx
  66.0F.28    movapd    Vx,Wx
  NP.0F.29    movaps    Wx,Vx
  66.0F.29    movapd    Wx,Vx
  NP.0F.2A    cvtpi2ps  Vx,Qq
  66.0F.2A    cvtpi2pd  Vx,Qq
  F3.0F.2A    cvtsi2ss  Vd,Ey
  F2.0F.2A    cvtsi2sd  Vq,Ey
  NP.0F.2B    movntps   Mx,Vx
  66.0F.2B    movntpd   Mx,Vx
  NP.0F.2C    cvttps2pi Pq,Wq
  66.0F.2C    cvttpd2pi Pq,Wx
  F3.0F.2C    cvttss2si Gy,Wd
  F2.0F.2C    cvttsd2si Gy,Wq
  NP.0F.2D    cvtps2pi  Pq,Wq
  66.0F.2D    cvtpd2pi  Pq,Wx
  F3.0F.2D    cvtss2si  Gy,Wd
  F2.0F.2D    cvtsd2si  Gy,Wq
  NP.0F.2E    ucomiss   Vd,Wd
  66.0F.2E    ucomisd   Vq,Wq
  NP.0F.2F    comiss    Vd,Wd
  66.0F.2F    comisd    Vq,Wq
  NP.0F.50    movmskps  Gd,Ux
  66.0F.50    movmskpd  Gd,Ux
  NP.0F.52    rsqrtps   Vx,Wx
  F3.0F.52    rsqrtss   Vd,Wd
  NP.0F.53    rcpps     Vx,Wx
  F3.0F.53    rcpss     Vd,Wd
  NP.0F.54    andps     Vx,Wx
  66.0F.54    andpd     Vx,Wx
  NP.0F.55    andnps    Vx,Wx
  66.0F.55    andnpd    Vx,Wx
  NP.0F.56    orps      Vx,Wx
  66.0F.56    orpd      Vx,Wx
  NP.0F.57    xorps     Vx,Wx
  66.0F.57    xorpd     Vx,Wx
  NP.0F.5A    cvtps2pd  Vx,Wq
  66.0F.5A    cvtpd2ps  Vx,Wx
  F3.0F.5A    cvtss2sd  Vq,Wd
  F2.0F.5A    cvtsd2ss  Vd,Wq
  NP.0F.5B    cvtdq2ps  Vx,Wx
  66.0F.5B    cvtps2dq  Vx,Wx
  F3.0F.5B    cvttps2dq Vx,Wx
  NP.0F.60    punpcklbw Pq,Qd
  66.0F.60    punpcklbw Vx,Wx
  NP.0F.61    punpcklwd Pq,Qd
  66.0F.61    punpcklwd Vx,Wx
  NP.0F.62    punpckldq Pq,Qd
  66.0F.62    punpckldq Vx,Wx
  66.0F.6C    punpcklqdq Vx,Wx
  66.0F.6D    punpckhqdq Vx,Wx
  NP.0F.6E    movd      Pq,Ey
  66.0F.6E    movd      Vx,Ey
  NP.0F.6F    movq      Pq,Qq
  66.0F.6F    movdqa    Vx,Wx
  F3.0F.6F    movdqu    Vx,Wx   unaligned
  NP.0F.70    pshufw    Pq,Qq,Ib
  66.0F.70    pshufd    Vx,Wx,Ib
  F3.0F.70    pshufhw   Vx,Wx,Ib
  F2.0F.70    pshuflw   Vx,Wx,Ib
  66.0F.73/3  psrldq    Ux,Ib
  66.0F.73/7  pslldq    Ux,Ib
  NP.0F.77    emms      -
  66.0F.7C    haddpd    Vx,Wx
  F2.0F.7C    haddps    Vx,Wx
  66.0F.7D    hsubpd    Vx,Wx
  F2.0F.7D    hsubps    Vx,Wx
  NP.0F.7E    movd      Ey,Py
  66.0F.7E    movd      Ey,Vy
  F3.0F.7E    movq      Vq,Wq
  NP.0F.7F    movq      Qq,Pq
  66.0F.7F    movdqa    Wx,Vx
  F3.0F.7F    movdqu    Wx,Vx   unaligned
  NP.0F.C2    cmpps     Vx,Wx,Ib
  66.0F.C2    cmppd     Vx,Wx,Ib
  F3.0F.C2    cmpss     Vd,Wd,Ib
  F2.0F.C2    cmpsd     Vq,Wq,Ib
  NP.0F.C4    pinsrw    Pq,Mw,Ib
  NP.0F.C4    pinsrw    Pq,Rd,Ib
  66.0F.C4    pinsrw    Vx,Mw,Ib
  66.0F.C4    pinsrw    Vx,Rd,Ib
  NP.0F.C5    pextrw    Gd,Nq,Ib
  66.0F.C5    pextrw    Gd,Ux,Ib
  NP.0F.C6    shufps    Vx,Wx,Ib
  66.0F.C6    shufpd    Vx,Wx,Ib
  66.0F.D0    addsubpd  Vx,Wx
  F2.0F.D0    addsubps  Vx,Wx
  66.0F.D6    movq      Wq,Vq
  F3.0F.D6    movq2dq   Vx,Nq
  F2.0F.D6    movdq2q   Pq,Uq
  NP.0F.D7    pmovmskb  Gd,Nq
  66.0F.D7    pmovmskb  Gd,Ux
  66.0F.E6    cvttpd2dq Vx,Wx
  F3.0F.E6    cvtdq2pd  Vx,Wq
  F2.0F.E6    cvtpd2dq  Vx,Wx
  NP.0F.E7    movntq    Mq,Pq
  66.0F.E7    movntdq   Mx,Vx
  F2.0F.F0    lddqu     Vx,Mx   unaligned
  NP.0F.F7    maskmovq  Pq,Nq
  66.0F.F7    maskmovdqu Vx,Ux

  66.0F38.10  pblendvb  Vx,Wx
  66.0F38.14  blendvps  Vx,Wx
  66.0F38.15  blendvpd  Vx,Wx
  66.0F38.17  ptest     Vx,Wx
  66.0F38.20  pmovsxbw  Vx,Wq
  66.0F38.21  pmovsxbd  Vx,Wd
  66.0F38.22  pmovsxbq  Vx,Ww
  66.0F38.23  pmovsxwd  Vx,Wq
  66.0F38.24  pmovsxwq  Vx,Wd
  66.0F38.25  pmovsxdq  Vx,Wq
  66.0F38.28  pmuldq    Vx,Wx
  66.0F38.29  pcmpeqq   Vx,Wx
  66.0F38.2A  movntdqa  Vx,Mx
  66.0F38.2B  packusdw  Vx,Wx
  66.0F38.30  pmovzxbw  Vx,Wq
  66.0F38.31  pmovzxbd  Vx,Wd
  66.0F38.32  pmovzxbq  Vx,Ww
  66.0F38.33  pmovzxwd  Vx,Wq
  66.0F38.34  pmovzxwq  Vx,Wd
  66.0F38.35  pmovzxdq  Vx,Wq
  66.0F38.37  pcmpgtq   Vx,Wx
  66.0F38.38  pminsb    Vx,Wx
  66.0F38.39  pminsd    Vx,Wx
  66.0F38.3A  pminuw    Vx,Wx
  66.0F38.3B  pminud    Vx,Wx
  66.0F38.3C  pmaxsb    Vx,Wx
  66.0F38.3D  pmaxsd    Vx,Wx
  66.0F38.3E  pmaxuw    Vx,Wx
  66.0F38.3F  pmaxud    Vx,Wx
  66.0F38.40  pmulld    Vx,Wx
  66.0F38.41  phminposuw Vx,Wx

  66.0F3A.08  roundps   Vx,Wx,Ib
  66.0F3A.09  roundpd   Vx,Wx,Ib
  66.0F3A.0A  roundss   Vd,Wd,Ib
  66.0F3A.0B  roundsd   Vq,Wq,Ib
  66.0F3A.0C  blendps   Vx,Wx,Ib
  66.0F3A.0D  blendpd   Vx,Wx,Ib
  66.0F3A.0E  pblendw   Vx,Wx,Ib
  NP.0F3A.0F  palignr   Pq,Qq,Ib
  66.0F3A.0F  palignr   Vx,Wx,Ib
  66.0F3A.14  pextrb    Mb,Vx,Ib
  66.0F3A.14  pextrb    Rd,Vx,Ib
  66.0F3A.15  pextrw    Mw,Vx,Ib
  66.0F3A.15  pextrw    Rd,Vx,Ib
  66.0F3A.16  pextrd    Ey,Vx,Ib
  66.0F3A.17  extractps Ed,Vx,Ib
  66.0F3A.20  pinsrb    Vx,Mb,Ib
  66.0F3A.20  pinsrb    Vx,Rd,Ib
  66.0F3A.21  insertps  Vx,Md,Ib
  66.0F3A.21  insertps  Vx,Ux,Ib
  66.0F3A.22  pinsrd    Vx,Ey,Ib
  66.0F3A.40  dpps      Vx,Wx,Ib
  66.0F3A.41  dppd      Vx,Wx,Ib
  66.0F3A.42  mpsadbw   Vx,Wx,Ib
  66.0F3A.60  pcmpestrm Vx,Wx,Ib  unaligned y
  66.0F3A.61  pcmpestri Vx,Wx,Ib  unaligned y
  66.0F3A.62  pcmpistrm Vx,Wx,Ib  unaligned
  66.0F3A.63  pcmpistri Vx,Wx,Ib  unaligned
`);
